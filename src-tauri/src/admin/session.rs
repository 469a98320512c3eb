//! `POST /_leeward/v1/sessions`: a `wrap` holds this stream open for as long as its agent runs. Counts, decides nothing.

use super::{commands::send, config::on_disk, error::Error, extract::Json, state::Admin};
use crate::{
    config::{self, Covers, Egress, Secret},
    control::{Command, Session, TunnelKey},
    health::{Code, unix_ms},
    upstream::{Hold, Learned, SessionUpstream},
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use http::header;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, convert::Infallible, future::ready, path::PathBuf, sync::Arc, time::Duration};

/// 128 bits in hexadecimal digits: shorter ones could be guessed.
const TUNNEL_TOKEN: usize = 32;
/// An open stream says that it is alive this often.
const STREAM_BEAT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionRequest {
    agent: String,
    pid: u32,
    #[serde(default)]
    upstreams: BTreeMap<String, String>,
    /// The way to them, where it is not the engine's.
    #[serde(default)]
    egress: Option<Egress>,
    /// The upstreams stay known after the session: nobody sees the end of the terminal that knows them.
    #[serde(default)]
    lasting: bool,
    /// Where the wrap waits for a duplicate of the listening socket.
    #[serde(default)]
    door: Option<PathBuf>,
    /// Opens tunnels (CONNECT) for as long as the session lasts.
    #[serde(default)]
    tunnel_token: Option<String>,
    /// How the agent's requests come.
    #[serde(default)]
    covers: Covers,
}

/// Whether the engine's way out serves an agent whose own is this one.
pub(super) async fn egress(State(admin): State<Arc<Admin>>, Json(asked): Json<Egress>) -> Json<Value> {
    Json(json!({ "served": asked.is_served_by(&admin.config) }))
}

/// A session lasts as long as its stream; the stream's end shows `wrap` that the engine is gone.
pub(super) async fn open(State(admin): State<Arc<Admin>>, Json(asked): Json<SessionRequest>) -> Result<Response, Error> {
    if asked.tunnel_token.as_ref().is_some_and(|token| token.len() < TUNNEL_TOKEN) {
        return Err(Error::BadRequest(format!("A tunnel token has {TUNNEL_TOKEN} characters at least.")));
    }
    let mut upstreams = BTreeMap::new();
    if let Some(egress) = &asked.egress {
        egress.applied(&admin.config, admin.local).map_err(|why| Error::BadRequest(format!("{why}.")))?;
    }
    for (name, url) in asked.upstreams {
        if !config::is_upstream_name(&name) || admin.config.upstreams.contains_key(&name) {
            return Err(Error::BadRequest(format!("`{name}` cannot be the name of a session's upstream.")));
        }
        let url =
            config::check_upstream(&url, admin.local).map_err(|why| Error::BadRequest(format!("upstream {name}: {why}.")))?;
        upstreams.insert(name, SessionUpstream { url, egress: asked.egress.clone(), lasting: asked.lasting });
    }
    let learner = admin.upstreams.clone();
    let learned = on_disk(move || learner.learn(upstreams)).await?;
    let Learned { hold, written } = learned.map_err(|taken| Error::Taken(format!("{taken}.")))?;
    if let Err(e) = written {
        admin.health.set(Code::StateUnwritable, None, format!("The state folder cannot be written ({e}); after a restart, sessions' gateways would be unknown until they reconnect."));
    }
    let agent: String = asked.agent.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(40).collect();
    let session = Session { agent, pid: asked.pid, since_unix_ms: unix_ms(), covers: asked.covers, door: asked.door.clone() };
    let (agent, egress) = (session.agent.clone(), asked.egress);
    let key = asked.tunnel_token.map(|token| TunnelKey { token: Secret::new(token), agent, egress });
    let lines = lines(&admin, session, hold, key).map(Ok::<_, Infallible>);
    if let Some(to) = asked.door {
        send(&admin, Command::Lend { to }).await?;
    }
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// The session's number, then a sign of life now and then. Who drops the stream ends the session and lets go of its
/// upstreams: the connection does so when its client has left.
fn lines(admin: &Admin, session: Session, hold: Hold, key: Option<TunnelKey>) -> impl Stream<Item = Bytes> + Send + 'static {
    let guard = admin.sessions.open(session);
    if let Some(key) = key {
        guard.opens_tunnels(key);
    }
    let first = Bytes::from(format!("{{\"session\":{}}}\n", guard.id()));
    let beats = stream::unfold((guard, hold), async |held| {
        tokio::time::sleep(STREAM_BEAT).await;
        Some((Bytes::from_static(b"\n"), held))
    });
    // A generation that has been replaced hands its sessions over: they connect again.
    stream::once(ready(first)).chain(beats.take_until(admin.draining()))
}
