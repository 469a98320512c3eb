//! A config as it would be written in a file: what `leeward config show` prints and the panel compares with.

use super::{
    company_proxy::{ProxyChoice, Proxying},
    definition::{File, ProxyKeys, TlsKeys, TunnelKeys, WebSocket},
    section::Section,
    types::{Config, Tls, Trust},
    upstream_entry::{ReplayPath, UpstreamEntry},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use toml::Table;
use url::Url;

/// The table of a file that loads to the very same config. Secrets are left out: `client_token`, and user and password of
/// `proxy.url`.
pub fn written(config: &Config) -> Table {
    let config = config.clone();
    let file = File {
        listen: config.listen.to_string(),
        upstream: entry(&config.replay, &config.websocket, None, config.upstream),
        mode: config.mode,
        connectors: config.connectors,
        allowed_hosts: config.allowed_hosts.iter().map(ToString::to_string).collect(),
        allowed_origins: config.allowed_origins.iter().map(ToString::to_string).collect(),
        client_token: None,
        log: config.log,
        workers: Some(config.workers),
        notifications: config.notifications,
        extra_ca: match config.trust {
            Trust::Platform { extra } => extra.as_deref().map(unicode),
            Trust::Only(_) | Trust::Also { .. } => None,
        },
        response_timeout: config.response_timeout,
        drain: config.drain,
        upstreams: config
            .upstreams
            .into_iter()
            .map(|(name, url)| (name.clone(), entry(&config.replay, &config.websocket, Some(name), url)))
            .collect(),
        limits: config.limits,
        client: config.client,
        connect: config.connect,
        pool: config.pool,
        retry: config.retry,
        stream: config.stream,
        circuit: config.circuit,
        tls: tls(&config.tls),
        proxy: proxy(config.proxy),
        tunnel: TunnelKeys { allow: config.tunnel_allow.written().to_vec() },
        ledger: config.ledger,
        wrap: config.wrap,
        watch: config.watch,
        modes: config.modes,
    };
    Table::try_from(file.written()).unwrap_or_else(|why| unreachable!("the file's own types are TOML: {why}"))
}

fn entry(
    replay: &BTreeMap<Option<String>, Vec<ReplayPath>>,
    websocket: &BTreeMap<Option<String>, WebSocket>,
    name: Option<String>,
    url: Url,
) -> UpstreamEntry {
    UpstreamEntry::new(url.into(), replay.get(&name).map_or(&[], Vec::as_slice), websocket.get(&name).copied())
}

fn tls(tls: &Tls) -> TlsKeys {
    let client = tls.client.as_ref();
    TlsKeys {
        client_cert: client.map(|files| unicode(&files.cert)),
        client_key: client.map(|files| unicode(&files.key)),
        key_share: tls.key_share,
    }
}

fn proxy(proxying: Proxying) -> ProxyKeys {
    let url = match proxying.url {
        ProxyChoice::Auto => "auto".into(),
        ProxyChoice::None => "none".into(),
        ProxyChoice::Named(proxy) => proxy.shown(),
    };
    ProxyKeys { url, no_proxy: proxying.no_proxy }
}

/// TOML is Unicode, so a path that is none cannot have come from it.
fn unicode(path: &Path) -> PathBuf {
    path.to_string_lossy().into_owned().into()
}
