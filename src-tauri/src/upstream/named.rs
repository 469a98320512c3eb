//! One upstream by name: where its requests go and what they are counted as. Sends nothing.

use super::{endpoint::Endpoint, pool::Origin};
use crate::{
    config::{Config, ReplayPath, WebSocket},
    telemetry::UpstreamTraffic,
};
use http::{
    HeaderValue,
    uri::{PathAndQuery, Uri},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use url::Url;

/// Requests of a burst that run at once: as many connections as its first one makes in advance.
const TURNS: usize = 4;
/// Whoever waits longer than this for a turn goes without one.
const TURN_WITHIN: Duration = Duration::from_millis(250);

/// One upstream by name.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// `None`: the default one.
    pub(crate) name: Option<String>,
    /// As the config has it.
    pub(crate) url: Url,
    /// Paths that are inferences here, beside those that are everywhere.
    pub(crate) replay: Vec<ReplayPath>,
    /// What becomes of WebSockets to it, where the config says so.
    pub(crate) websocket: Option<WebSocket>,
    /// Its counters.
    pub(crate) traffic: Arc<UpstreamTraffic>,
    /// Where its connections go.
    pub(crate) origin: Arc<Origin>,
    /// The value of `Host`; none where the place makes no valid one.
    pub(crate) host: Option<HeaderValue>,
    /// Put before every target; no `/` at its end.
    prefix: String,
    turns: Arc<Semaphore>,
}

impl Upstream {
    pub(super) fn new(
        name: Option<&str>,
        url: &Url,
        config: &Config,
        traffic: Arc<UpstreamTraffic>,
        origin: Arc<Origin>,
    ) -> Self {
        let host = origin.endpoint.authority().and_then(|authority| HeaderValue::try_from(authority.as_str()).ok());
        let name = name.map(str::to_owned);
        let replay = config.replay.get(&name).cloned().unwrap_or_default();
        let websocket = config.websocket.get(&name).copied().or_else(|| of_same_place(config, &name, &origin.endpoint));
        let prefix = url.path().trim_end_matches('/').to_owned();
        let turns = Arc::new(Semaphore::new(TURNS));
        Self { name, url: url.clone(), replay, websocket, traffic, origin, host, prefix, turns }
    }

    /// The same upstream by other connections.
    pub(super) fn by(&self, origin: Arc<Origin>) -> Self {
        Self {
            name: self.name.clone(),
            url: self.url.clone(),
            replay: self.replay.clone(),
            websocket: self.websocket,
            traffic: self.traffic.clone(),
            origin,
            host: self.host.clone(),
            prefix: self.prefix.clone(),
            turns: self.turns.clone(),
        }
    }

    /// A turn for one of the short requests that an agent sends all at once: a connection that becomes free soon costs less than
    /// another handshake. It lasts until it is dropped.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        timeout(TURN_WITHIN, self.turns.clone().acquire_owned()).await.ok()?.ok()
    }

    /// Its own path, which stands before every target; no `/` at its end.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The target to ask the origin for; `None` when the two do not make a valid one.
    pub(crate) fn target(&self, rest: &str) -> Option<Uri> {
        if self.prefix.is_empty() && rest != "*" {
            return PathAndQuery::try_from(rest).ok().map(Uri::from);
        }
        PathAndQuery::try_from(format!("{}{rest}", self.prefix)).ok().map(Uri::from)
    }
}

/// What the config says of WebSockets to an upstream that is not in it by name (a session's, an intercepted host): the same as to
/// one that is at the same place.
fn of_same_place(config: &Config, name: &Option<String>, place: &Endpoint) -> Option<WebSocket> {
    let is_known = name.as_ref().is_none_or(|name| config.upstreams.contains_key(name));
    let url = |name: &Option<String>| match name {
        None => Some(&config.upstream),
        Some(name) => config.upstreams.get(name),
    };
    let mut said = config.websocket.iter().filter(|_| !is_known);
    said.find(|(name, _)| url(name).is_some_and(|url| Endpoint::of(url) == *place)).map(|(_, choice)| *choice)
}
