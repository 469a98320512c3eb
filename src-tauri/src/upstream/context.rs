//! How the upstreams of one generation are reached: TLS, company proxies, what is known of the paths. Dials nothing.

use super::{endpoint::Endpoint, own_identity, paths::PathCache, tls::Connectors};
use crate::config::{Config, Proxying};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// How the upstreams of one generation are reached.
#[derive(Debug)]
pub(crate) struct DialContext {
    pub(super) connectors: Connectors,
    pub(super) cache: Arc<PathCache>,
    /// Company proxies; none of them is Leeward itself by way of a variable.
    pub(super) proxying: Proxying,
    /// There is a certificate to show.
    certificate: bool,
    /// Leeward's own address, which must not be dialled.
    pub(super) own: SocketAddr,
    /// How long nothing of a request may move; `None`: for ever.
    pub(super) write_stall: Option<Duration>,
    /// Interval of keep-alive probes.
    pub(super) keepalive: Duration,
}

impl DialContext {
    pub(crate) fn new(config: &Config, cache: Arc<PathCache>, own: SocketAddr) -> Self {
        let proxying = config.proxy.clone().without(own);
        for dropped in &proxying.dropped {
            tracing::warn!("{dropped} is Leeward's own address and is ignored: requests would go round in a circle");
        }
        Self {
            connectors: Connectors::new(config.trust.clone(), config.tls.clone()),
            cache,
            proxying,
            certificate: config.tls.client.is_some(),
            own,
            write_stall: Some(config.connect.write_stall).filter(|d| !d.is_zero()),
            keepalive: config.pool.keepalive,
        }
    }

    /// What is shown of our own user on the way to an endpoint, in words; `None` where nothing is.
    pub(super) fn own_identity(&self, endpoint: &Endpoint) -> Option<String> {
        let proxy = self.proxying.route(endpoint.tls, &endpoint.host, endpoint.port);
        // The system's settings may name another proxy at the next dial: no login, but perhaps one within TLS.
        let may_change = self.proxying.system != Default::default();
        own_identity::shown(self.certificate, endpoint, proxy.as_ref(), may_change)
    }
}
