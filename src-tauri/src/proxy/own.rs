//! What Leeward's own paths get of a generation. Answers nothing itself.

use super::{Counters, Proxy, Shared};
use crate::{
    admin::{self, Admin},
    config::Config,
    control::Mode,
    status::{self, traffic::OriginStats},
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Weak},
};
use tokio::sync::watch;
use url::Url;

pub(super) fn admin(
    config: &Arc<Config>,
    shared: &Shared,
    local: SocketAddr,
    mode: watch::Receiver<Mode>,
    proxy: Weak<Proxy>,
) -> Admin {
    Admin {
        config: config.clone(),
        local,
        mode,
        health: shared.health.clone(),
        traffic: shared.traffic.clone(),
        sessions: shared.sessions.clone(),
        commands: shared.commands.clone(),
        status: shared.status.clone(),
        history: shared.history.clone(),
        settings: shared.settings.clone(),
        panel: shared.panel.clone(),
        window: shared.window.clone(),
        token: shared.token.clone(),
        counters: shared.counters.clone(),
        upstreams: Arc::new(Upstreams(proxy)),
    }
}

impl admin::Counters for Counters {
    fn fill(&self, listener: &mut status::Listener) {
        Self::fill(self, listener);
    }
}

/// The upstreams as own paths see them. Weak, because the proxy owns those paths.
#[derive(Debug)]
struct Upstreams(Weak<Proxy>);

impl admin::Upstreams for Upstreams {
    fn warm(&self, name: Option<&str>) -> Option<usize> {
        let proxy = self.0.upgrade()?;
        Some(proxy.upstream(name)?.origin.warm(proxy.config.connect.parallel))
    }

    fn stats(&self) -> BTreeMap<String, OriginStats> {
        self.0.upgrade().map(|proxy| proxy.origin_stats()).unwrap_or_default()
    }

    fn learn(&self, given: BTreeMap<String, Url>) -> std::io::Result<()> {
        self.0.upgrade().map_or(Ok(()), |proxy| proxy.shared.learn_upstreams(given))
    }
}
