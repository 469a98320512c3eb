//! Envoy as a reverse proxy: one worker, connections to the upstream kept, told to send again whatever was reset.

use super::{Peer, Place, write};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The largest body that it keeps in order to send it again.
const BODY: u32 = 16 << 20;
const TYPES: &str = "type.googleapis.com/envoy.extensions";

pub(super) struct Envoy {
    program: PathBuf,
}

impl Envoy {
    pub(super) fn new(program: &Path) -> Result<Self> {
        let program = program.canonicalize().with_context(|| format!("there is no {}", program.display()))?;
        Ok(Self { program })
    }
}

impl Peer for Envoy {
    fn name(&self) -> &'static str {
        "envoy"
    }

    fn version(&self) -> String {
        // `…/envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`
        let said = crate::machine::said(&self.program.to_string_lossy(), &["--version"]);
        let version = said.split('/').find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
        format!("envoy {}", version.unwrap_or("of an unknown version"))
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let file = place.folder.join("envoy.json");
        write(&file, &settings(place).to_string())?;
        let mut command = Command::new(&self.program);
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "off", "-c"]).arg(file);
        command.current_dir(place.folder);
        Ok(command)
    }
}

fn settings(place: &Place<'_>) -> Value {
    json!({ "static_resources": { "listeners": [listener(place)], "clusters": [cluster(place)] } })
}

fn listener(place: &Place<'_>) -> Value {
    // A first pause of 1 ms instead of 25, the least that it takes: agents wait meanwhile. Ten retries, as resets come in rows.
    let again = json!({
        "retry_on": "connect-failure,refused-stream,reset",
        "num_retries": 10,
        "retry_back_off": { "base_interval": "0.001s", "max_interval": "0.050s" },
    });
    let everything = json!({
        "match": { "prefix": "/" },
        "route": { "cluster": "behind", "timeout": "0s", "idle_timeout": "600s", "retry_policy": again },
    });
    let connections = json!({
        "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "here",
        "stream_idle_timeout": "600s",
        "generate_request_id": false,
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [everything] }] },
        // A body is there whole before it is sent, or it could not be sent again.
        "http_filters": [
            filter("buffer", "buffer.v3.Buffer", json!({ "max_request_bytes": BODY })),
            filter("router", "router.v3.Router", json!({ "suppress_envoy_headers": true })),
        ],
    });
    json!({
        "address": address(place.listen),
        "per_connection_buffer_limit_bytes": BODY,
        "tcp_backlog_size": 8192,
        "filter_chains": [{ "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": connections }] }],
    })
}

fn filter(name: &str, kind: &str, mut settings: Value) -> Value {
    settings["@type"] = format!("{TYPES}.filters.http.{kind}").into();
    json!({ "name": format!("envoy.filters.http.{name}"), "typed_config": settings })
}

fn cluster(place: &Place<'_>) -> Value {
    let mut cluster = json!({
        "name": "behind",
        "type": "STATIC",
        "connect_timeout": "5s",
        "per_connection_buffer_limit_bytes": BODY,
        // By default no more than three retries may be under way at once.
        "circuit_breakers": { "thresholds": [{
            "max_connections": 20000, "max_pending_requests": 20000, "max_requests": 20000, "max_retries": 20000,
        }] },
        "load_assignment": {
            "cluster_name": "behind",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(place.upstream) } }] }],
        },
    });
    if let Some(authority) = place.authority {
        cluster["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": format!("{TYPES}.transport_sockets.tls.v3.UpstreamTlsContext"),
                "common_tls_context": { "validation_context": { "trusted_ca": { "filename": authority } } },
            },
        });
    }
    cluster
}

fn address(of: std::net::SocketAddr) -> Value {
    json!({ "socket_address": { "address": of.ip().to_string(), "port_value": of.port() } })
}
