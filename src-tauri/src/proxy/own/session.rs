//! `POST /_leeward/v1/sessions`: a `wrap` holds this stream open for as long as its agent runs. Counts, decides nothing.

use crate::{
    config,
    control::Session,
    health::{Code, unix_ms},
    proxy::{Mode, Proxy, error::Error, reply::Reply},
};
use bytes::Bytes;
use http::{HeaderValue, Response};
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::mpsc;

/// An open stream says that it is alive this often.
const STREAM_BEAT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionRequest {
    agent: String,
    pid: u32,
    #[serde(default)]
    upstreams: BTreeMap<String, String>,
}

/// A session lasts as long as its stream; the stream's end tells `wrap` that the engine is gone.
pub(super) async fn open(proxy: &Proxy, asked: SessionRequest) -> Result<Response<Reply>, Error> {
    let mut upstreams = BTreeMap::new();
    for (name, url) in asked.upstreams {
        if !config::is_upstream_name(&name) || proxy.config.upstreams.contains_key(&name) {
            return Err(Error::BadRequest(format!("`{name}` cannot be the name of a session's upstream.")));
        }
        let url =
            config::check_upstream(&url, proxy.local).map_err(|why| Error::BadRequest(format!("upstream {name}: {why}.")))?;
        upstreams.insert(name, url);
    }
    let shared = proxy.shared.clone();
    if let Err(e) = super::config::on_disk(move || shared.learn_upstreams(upstreams)).await? {
        proxy.shared.health.set(Code::StateUnwritable, None, format!("The state folder cannot be written ({e}); after a restart, sessions' gateways would be unknown until they reconnect."));
    }
    let agent: String = asked.agent.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(40).collect();
    let guard = proxy.shared.sessions.open(Session { agent, pid: asked.pid, since_unix_ms: unix_ms() });
    let (send, lines) = mpsc::channel(2);
    let number = guard.id();
    let mut mode = proxy.mode.clone();
    proxy.tasks.spawn(async move {
        let _guard = guard;
        if send.send(Bytes::from(format!("{{\"session\":{number}}}\n"))).await.is_err() {
            return;
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(STREAM_BEAT) => if send.send(Bytes::from_static(b"\n")).await.is_err() { return },
                () = send.closed() => return,
                // A generation that has been replaced hands its sessions over: they connect again.
                () = Mode::reaches(&mut mode, Mode::Draining) => return,
            }
        }
    });
    let mut response = Response::new(Reply::Open(lines));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}
