//! `POST /_leeward/v1/sessions`: a `wrap` holds this stream open for as long as its agent runs. Counts, decides nothing.

use super::{
    commands::send,
    config::on_disk,
    error::Error,
    extract::{ArrivedAt, Json, Query},
    state::Admin,
};
use crate::{
    authority,
    config::{self, Covers, Egress, Secret},
    control::{Command, Interception, Session, TunnelKey, is_tunnel_token},
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
use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::ready,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use url::Url;

/// An open stream says that it is alive this often.
const STREAM_BEAT: Duration = Duration::from_secs(10);
/// A longer one is not shown.
const MAX_FOLDER: usize = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionRequest {
    agent: String,
    pid: u32,
    /// Where it was started.
    #[serde(default)]
    folder: Option<String>,
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
    /// Its agent's connections are decrypted.
    #[serde(default)]
    intercept: bool,
    /// The certificate authority that the agent was started with; where there is none, it gets the current one.
    #[serde(default)]
    authority: Option<String>,
    /// Whether the agent gets its list of connectors.
    #[serde(default = "yes")]
    connectors: bool,
}

fn yes() -> bool {
    true
}

/// Whether the engine's way out serves an agent whose own is this one.
pub(super) async fn egress(State(admin): State<Arc<Admin>>, Json(asked): Json<Egress>) -> Json<Value> {
    Json(json!({ "served": asked.is_served_by(&admin.config) }))
}

/// Another process has made or destroyed certificate authorities in the folder.
pub(super) async fn reread_authority(State(admin): State<Arc<Admin>>) -> Result<Json<Value>, Error> {
    let authority = admin.authority.clone();
    let read = on_disk(move || authority.reread()).await?;
    read.map_err(|trouble| Error::Undone(format!("{trouble}.")))?;
    Ok(Json(json!({ "read": true })))
}

/// A session lasts as long as its stream; the stream's end shows `wrap` that the engine is gone.
pub(super) async fn open(
    State(admin): State<Arc<Admin>>,
    ArrivedAt(address): ArrivedAt,
    Json(asked): Json<SessionRequest>,
) -> Result<Response, Error> {
    let port = address.port();
    if asked.tunnel_token.as_ref().is_some_and(|token| !is_tunnel_token(token)) {
        return Err(Error::BadRequest("A tunnel token has 32 to 128 letters, digits, `-` and `_`.".into()));
    }
    let named = decrypted_upstreams(&asked);
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
    upstreams.extend(named.iter().map(|(name, upstream)| (name.clone(), upstream.clone())));
    let learner = admin.upstreams.clone();
    let learned = on_disk(move || learner.learn(upstreams)).await?;
    let Learned { hold, written } = learned.map_err(|taken| Error::Taken(format!("{taken}.")))?;
    if let Err(e) = written {
        admin.health.set(Code::StateUnwritable, None, format!("The state folder cannot be written ({e}); after a restart, sessions' gateways would be unknown until they reconnect."));
    }
    let agent: String = asked.agent.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(40).collect();
    let (covers, door) = (asked.covers, asked.door.clone());
    let (id, folder) = (format!("{agent}-{}", asked.pid), asked.folder.filter(|folder| folder.len() <= MAX_FOLDER));
    let session = Session { id, agent, pid: asked.pid, since_unix_ms: unix_ms(), covers, folder, door, port };
    let (interception, told) = if asked.intercept && asked.tunnel_token.is_some() {
        let (interception, told) = interception(&admin, &session, &asked.authority, asked.connectors, &named).await?;
        (Some(Arc::new(interception)), told)
    } else {
        (None, json!({}))
    };
    let (id, agent, egress) = (session.id.clone(), session.agent.clone(), asked.egress);
    let key = asked.tunnel_token.map(|token| TunnelKey::new(Secret::new(token), id, agent, egress).decrypted(interception));
    let lines = lines(&admin, session, hold, key, told).map(Ok::<_, Infallible>);
    if let Some(to) = asked.door {
        send(&admin, Command::Lend { to, port }).await?;
    }
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CountsQuery {
    number: u64,
}

/// What became of a session's requests; those of a session that has ended are known for a while.
pub(super) async fn counts(
    State(admin): State<Arc<Admin>>,
    Query(CountsQuery { number }): Query<CountsQuery>,
) -> Result<Json<Value>, Error> {
    let counts = admin.traffic.of_session(number);
    let counts = counts.ok_or_else(|| Error::Undone("What became of its requests is not known any more.".into()))?;
    Ok(Json(json!({ "session": number, "since_unix_ms": admin.traffic.since(), "counts": counts })))
}

/// The session's own way to the hosts that are decrypted, by names that no path can name.
fn decrypted_upstreams(asked: &SessionRequest) -> BTreeMap<String, SessionUpstream> {
    let Some(egress) = asked.egress.as_ref().filter(|_| asked.intercept) else { return BTreeMap::new() };
    let mut hasher = DefaultHasher::new();
    json!(egress).to_string().hash(&mut hasher);
    let way = hasher.finish();
    let of = |host: &str| {
        let url = Url::parse(&format!("https://{host}/")).ok()?;
        Some((format!("{host}:443 {way:016x}"), SessionUpstream { url, egress: Some(egress.clone()), lasting: asked.lasting }))
    };
    authority::hosts().filter_map(of).collect()
}

/// How a session is decrypted, and what its `wrap` learns of it: the certificate authority, or why there is none.
async fn interception(
    admin: &Admin,
    session: &Session,
    given: &Option<String>,
    connectors: bool,
    named: &BTreeMap<String, SessionUpstream>,
) -> Result<(Interception, Value), Error> {
    let (authority, given) = (admin.authority.clone(), given.clone());
    let found = on_disk(move || match given {
        Some(id) => authority.check(&id).map(|()| id),
        None => authority.current(),
    });
    let (id, told, why) = match found.await? {
        Ok(id) => (Some(id.clone()), json!({ "authority": id }), None),
        Err(trouble) => (None, json!({ "authority": null, "trouble": format!("{trouble}.") }), Some(trouble)),
    };
    let upstreams = named.iter().filter_map(|(name, upstream)| Some((upstream.url.host_str()?.to_owned(), name.clone())));
    let name = format!("{} (pid {})", session.agent, session.pid);
    let interception = Interception::new(id, connectors, upstreams.collect(), name, admin.health.clone());
    if let Some(trouble) = why {
        interception.tell("", &format!("Its connections are tunnelled without decryption: {trouble}."));
    }
    Ok((interception, told))
}

/// The session's number and what else it learns, then a sign of life now and then. Who drops the stream ends the session and lets go of its
/// upstreams: the connection does so when its client has left.
fn lines(
    admin: &Admin,
    session: Session,
    hold: Hold,
    key: Option<TunnelKey>,
    mut told: Value,
) -> impl Stream<Item = Bytes> + Send + 'static {
    let mut guard = admin.sessions.open(session);
    if let Some(key) = key {
        guard.opens_tunnels(key, admin.mode.clone());
    }
    told["session"] = guard.id().into();
    told["since_unix_ms"] = admin.traffic.since().into();
    let first = Bytes::from(format!("{told}\n"));
    let beats = stream::unfold((guard, hold), async |held| {
        tokio::time::sleep(STREAM_BEAT).await;
        Some((Bytes::from_static(b"\n"), held))
    });
    // A generation that has been replaced hands its sessions over: they connect again.
    stream::once(ready(first)).chain(beats.take_until(admin.draining()))
}
