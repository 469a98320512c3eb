//! The control stream that a wrap holds open while its agent runs: it shows Leeward who is there, and its end shows
//! the wrap that Leeward is gone. Then Leeward is started again on the very socket that the wrap holds, unless it was ended on
//! purpose. Prints nothing: the terminal is the agent's.

use super::{
    counted::{Counted, Served},
    plan::Plan,
};
use crate::{
    config::{Connectors, Covers, Egress, Secret, environment, read_certificates},
    instance::{Background, Client, ClientError, Holding, StartError, reachable, running, running_at, running_or_start},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, convert::Infallible, future::pending, net::SocketAddr, time::Duration};
use tokio::time::{Instant, sleep, timeout};

const WARM_WITHIN: Duration = Duration::from_secs(2);
/// The socket is brought as soon as the session is open; a machine that is busy takes longer.
const HELD_WITHIN: Duration = Duration::from_secs(5);
/// An open stream says every 10 s that it is alive; after this long its other end hangs.
const SILENT_FOR: Duration = Duration::from_secs(25);
/// The agent has ended, and its user waits for the prompt.
const COUNTED_WITHIN: Duration = Duration::from_millis(500);
/// Between the first two tries to get a session again.
const PAUSE: Duration = Duration::from_millis(20);
/// How often a Leeward that was ended on purpose is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// An open session.
#[derive(Debug)]
pub struct Session {
    stream: reqwest::Response,
    client: Client,
    asked: Asked,
    background: Background,
    /// What the agent knows; a new instance must accept there.
    address: SocketAddr,
    /// What counts what becomes of its requests.
    served: Served,
}

/// This process's way out, where it is not the instance's. An instance that does not know the question has only one.
/// `stated`: proxies of the agent's own settings, which outrank the environment.
pub async fn own_egress(client: &Client, stated: &BTreeMap<String, String>) -> Option<Egress> {
    let folder = std::env::current_dir().unwrap_or_default();
    let env = |name: &str| stated.get(name).cloned().or_else(|| environment(name));
    let egress = Egress::of_agent(&env, &folder, &|file| read_certificates(file).is_ok());
    let body = serde_json::to_value(&egress).ok()?;
    let answer = client.post("/_leeward/v1/egress", &body, WARM_WITHIN).await.ok()?;
    (answer.get("served") == Some(&Value::Bool(false))).then_some(egress)
}

/// Opens a session for a plan. With a holder, its Leeward brings it a duplicate of the listening socket; `filled` says when.
///
/// # Errors
/// When the instance refuses or is gone.
pub async fn open(
    client: Client,
    plan: &Plan,
    background: Background,
    holding: Option<&Holding>,
) -> Result<Session, ClientError> {
    let mut body = json!({ "agent": plan.agent, "pid": std::process::id(), "upstreams": plan.upstreams, "egress": plan.egress });
    if let Some(holding) = holding {
        body["door"] = json!(holding.door());
    }
    let (token, authority) = (plan.token.clone(), plan.authority.clone());
    let asked = Asked { body, token, covers: plan.covers, authority, connectors: plan.connectors };
    begin(client, asked, background).await
}

/// Makes a plan's upstreams known for good: nobody will see the end of the terminal that they are for.
///
/// # Errors
/// When the instance refuses or is gone.
pub async fn make_known(client: Client, plan: &Plan, background: Background) -> Result<(), ClientError> {
    let body = json!({ "agent": plan.agent, "pid": std::process::id(), "upstreams": plan.upstreams, "lasting": true });
    begin(client, Asked { body, token: None, covers: plan.covers, authority: None, connectors: plan.connectors }, background)
        .await
        .map(drop)
}

async fn begin(client: Client, asked: Asked, background: Background) -> Result<Session, ClientError> {
    let stream = request(&client, &asked.whole()).await?;
    let address = client.address();
    Ok(Session { stream, client, asked, background, address, served: Served::default() })
}

async fn request(client: &Client, body: &Value) -> Result<reqwest::Response, ClientError> {
    client.open("/_leeward/v1/sessions", body).await
}

/// What a session is opened with, each time anew. It holds the token that opens tunnels, and perhaps a proxy's password.
struct Asked {
    /// What every instance knows.
    body: Value,
    token: Option<Secret>,
    covers: Covers,
    /// The certificate authority that the agent was started with: it is the session's to its end.
    authority: Option<String>,
    connectors: Connectors,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("agent", &self.body.get("agent")).field("covers", &self.covers).finish_non_exhaustive()
    }
}

impl Asked {
    /// An older instance refuses words that it does not know; a session without a tunnel needs none of them.
    fn whole(&self) -> Value {
        let mut body = self.body.clone();
        if let Some(token) = &self.token {
            body["tunnel_token"] = token.reveal().into();
            body["covers"] = json!(self.covers);
            body["folder"] = json!(std::env::current_dir().ok().map(|folder| folder.display().to_string()));
            if let Some(authority) = &self.authority {
                body["intercept"] = true.into();
                body["authority"] = json!(authority);
                body["connectors"] = json!(self.connectors == Connectors::On);
            }
        }
        body
    }
}

impl Session {
    /// Connects to the agent's upstream in advance. That it fails now says nothing about later, so it is only logged.
    pub async fn warm(&self, upstream: Option<&str>) {
        if let Err(e) = self.client.post("/_leeward/v1/warm", &json!({ "upstream": upstream }), WARM_WITHIN).await {
            tracing::debug!("no connection in advance: {e}");
        }
    }

    /// Waits until the socket is held, so that the port is nobody else's before the agent knows it. That it is not is logged,
    /// and the agent runs as well.
    pub async fn filled(holding: &Holding) {
        if timeout(HELD_WITHIN, holding.filled()).await.is_err() {
            tracing::warn!("this session does not hold the port: its Leeward did not bring the socket within {HELD_WITHIN:?}");
        }
    }

    /// What became of the requests since it was opened; `None` where it could not be asked.
    pub async fn counted(&self) -> Option<Counted> {
        timeout(COUNTED_WITHIN, self.served.counted(&self.client)).await.ok().flatten()
    }

    /// Keeps the session open, and Leeward alive, until the future is dropped.
    pub async fn hold(&mut self, holding: Option<&Holding>) -> Infallible {
        loop {
            self.served.begins();
            while let Ok(Ok(Some(piece))) = timeout(SILENT_FOR, self.stream.chunk()).await {
                self.served.says(&piece);
            }
            self.stream = tokio::select! {
                stream = self.reopen(holding) => stream,
                never = expire(holding) => match never {},
            };
        }
    }

    /// Where a new instance must listen for the agent to reach it: as configured if that is it, else exactly there.
    fn listen(&self) -> SocketAddr {
        let configured = self.background.config.listen;
        if reachable(configured) == self.address { configured } else { self.address }
    }

    async fn reopen(&mut self, holding: Option<&Holding>) -> reqwest::Response {
        let mut pause = PAUSE;
        loop {
            let begun = Instant::now();
            let on_purpose = holding.is_some_and(Holding::is_let_go);
            match self.attempt(!on_purpose, holding).await {
                Ok(stream) => return stream,
                Err(e) => tracing::debug!("no session: {e}"),
            }
            // One that came up and was ended is no sign that the next one will fail.
            if holding.is_some_and(|holding| holding.was_given_since(begun)) {
                pause = PAUSE;
            }
            sleep(if on_purpose { LOOK } else { pause }).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// A restart inside Leeward ends the stream too; then it still answers and a new stream is enough.
    async fn attempt(&mut self, may_start: bool, holding: Option<&Holding>) -> Result<reqwest::Response, StartError> {
        let client = match running(&self.background.config).await {
            // It may have gone to another address; then it serves this one for as long as the session is registered there.
            Ok(Some(client)) if client.address() != self.address => {
                running_at(&self.background.config, self.address).await?.unwrap_or(client)
            }
            Ok(Some(client)) => client,
            // One that hangs is ended and replaced.
            Ok(None) | Err(ClientError::Broken { .. }) if may_start => {
                running_or_start(&self.background, Some(self.listen())).await?
            }
            Ok(None) => return Err(ClientError::NotRunning(Some(self.address)).into()),
            Err(e) => return Err(e.into()),
        };
        if let Some(holding) = holding {
            holding.is_served();
        }
        let stream = match request(&client, &self.asked.whole()).await {
            // An older instance has taken over: the session's gateways are known to it at least.
            Err(ClientError::Refused { .. }) if self.asked.token.is_some() => request(&client, &self.asked.body).await?,
            opened => opened?,
        };
        if client.address() != self.address {
            tracing::warn!("Leeward accepts on {} now, and the agent knows {}", client.address(), self.address);
        }
        self.client = client;
        Ok(stream)
    }
}

/// Lets the socket go when no Leeward accepts for too long.
async fn expire(holding: Option<&Holding>) -> Infallible {
    if let Some(holding) = holding {
        holding.expires().await;
    }
    pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_session_is_registered_with_shows_no_secret() {
        let egress = json!({ "proxies": { "HTTPS_PROXY": "http://me:hush@gate:3128" } });
        let body = json!({ "agent": "claude", "pid": 1, "tunnel_token": "0123456789abcdef", "egress": egress });
        let shown =
            format!("{:?}", Asked { body, token: None, covers: Covers::default(), authority: None, connectors: Connectors::On });
        assert!(shown.contains("claude") && !shown.contains("0123456789abcdef") && !shown.contains("hush"), "{shown}");
    }
}
