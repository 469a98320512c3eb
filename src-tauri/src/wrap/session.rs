//! The control stream that a wrap holds open while its agent runs: it tells Leeward who is there, and its end tells
//! the wrap that Leeward is gone. Then Leeward is started again at the same address. Prints nothing: the terminal
//! is the agent's.

use super::plan::Plan;
use crate::config::{Egress, environment, read_certificates};
use crate::instance::{Background, Client, ClientError, StartError, reachable, running, running_or_start};
use serde_json::{Value, json};
use std::{convert::Infallible, net::SocketAddr, time::Duration};
use tokio::time::sleep;

const WARM_WITHIN: Duration = Duration::from_secs(2);

/// An open session.
#[derive(Debug)]
pub struct Session {
    stream: reqwest::Response,
    client: Client,
    body: Value,
    background: Background,
    /// What the agent knows; a new instance must accept there.
    address: SocketAddr,
}

/// This process's way out, where it is not the instance's. An instance that does not know the question has only one.
pub async fn own_egress(client: &Client) -> Option<Egress> {
    let folder = std::env::current_dir().unwrap_or_default();
    let egress = Egress::of_agent(&environment, &folder, &|file| read_certificates(file).is_ok());
    let body = serde_json::to_value(&egress).ok()?;
    let answer = client.post("/_leeward/v1/egress", &body, WARM_WITHIN).await.ok()?;
    (answer.get("served") == Some(&Value::Bool(false))).then_some(egress)
}

/// Opens a session for a plan.
///
/// # Errors
/// When the instance refuses or is gone.
pub async fn open(client: Client, plan: &Plan, background: Background) -> Result<Session, ClientError> {
    let body = json!({ "agent": plan.agent, "pid": std::process::id(), "upstreams": plan.upstreams, "egress": plan.egress });
    begin(client, body, background).await
}

/// Makes a plan's upstreams known for good: nobody will see the end of the terminal that they are for.
///
/// # Errors
/// When the instance refuses or is gone.
pub async fn make_known(client: Client, plan: &Plan, background: Background) -> Result<(), ClientError> {
    let body = json!({ "agent": plan.agent, "pid": std::process::id(), "upstreams": plan.upstreams, "lasting": true });
    begin(client, body, background).await.map(drop)
}

async fn begin(client: Client, body: Value, background: Background) -> Result<Session, ClientError> {
    let stream = request(&client, &body).await?;
    let address = client.address();
    Ok(Session { stream, client, body, background, address })
}

async fn request(client: &Client, body: &Value) -> Result<reqwest::Response, ClientError> {
    client.open("/_leeward/v1/sessions", body).await
}

impl Session {
    /// Connects to the agent's upstream in advance. That it fails now says nothing about later, so it is only logged.
    pub async fn warm(&self, upstream: Option<&str>) {
        if let Err(e) = self.client.post("/_leeward/v1/warm", &json!({ "upstream": upstream }), WARM_WITHIN).await {
            tracing::debug!("no connection in advance: {e}");
        }
    }

    /// Keeps the session open, and Leeward alive, until the future is dropped.
    pub async fn hold(mut self) -> Infallible {
        loop {
            while let Ok(Some(_)) = self.stream.chunk().await {}
            self.stream = self.reopen().await;
        }
    }

    /// Where a new instance must listen for the agent to reach it: as configured if that is it, else exactly there.
    fn listen(&self) -> SocketAddr {
        let configured = self.background.config.listen;
        if reachable(configured) == self.address { configured } else { self.address }
    }

    async fn reopen(&mut self) -> reqwest::Response {
        let mut pause = Duration::from_millis(20);
        loop {
            match self.attempt().await {
                Ok(stream) => return stream,
                Err(e) => tracing::debug!("no session: {e}"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// A restart inside Leeward ends the stream too; then it still answers and a new stream is enough.
    async fn attempt(&mut self) -> Result<reqwest::Response, StartError> {
        let client = match running(&self.background.config).await? {
            Some(client) => client,
            None => running_or_start(&self.background, Some(self.listen())).await?,
        };
        let stream = request(&client, &self.body).await?;
        if client.address() != self.address {
            tracing::warn!("Leeward accepts on {} now, and the agent knows {}", client.address(), self.address);
        }
        self.client = client;
        Ok(stream)
    }
}
