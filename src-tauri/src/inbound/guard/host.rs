//! The names by which requests may call us. Pure.
//!
//! A page that has rebound a name of its own to this machine still sends that name, so only loopback names and those that
//! the config allows are ours. The port defends nothing: such a page names the real one, and a forwarded port is another.

use crate::config::Config;
use http::uri::Authority;
use std::net::{IpAddr, SocketAddr};

/// Whether a `Host` header names us; `local` is our end of the connection.
pub(super) fn is_own(config: &Config, local: SocketAddr, text: &str) -> bool {
    split(text).is_some_and(|(authority, port)| is_own_host(config, local, &authority, port))
}

/// Whether the authority of an absolute target names us: by our own port, because a client that takes us for its HTTP_PROXY
/// asks for other servers on this machine, too.
pub(super) fn is_own_target(config: &Config, local: SocketAddr, text: &str) -> bool {
    split(text)
        .is_some_and(|(authority, port)| port.unwrap_or(80) == local.port() && is_own_host(config, local, &authority, port))
}

fn is_own_host(config: &Config, local: SocketAddr, authority: &Authority, port: Option<u16>) -> bool {
    let host = authority.host().trim_matches(['[', ']']);
    // Not `*.localhost`: not every resolver keeps RFC 6761, section 6.3.
    host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|ip: IpAddr| {
            ip.is_loopback() || (config.client_token.is_some() && ip.to_canonical() == local.ip().to_canonical())
        })
        || config.allowed_hosts.iter().any(|allowed| allowed.is(host, port))
}

/// The authority and its port, where it is host and port and nothing else.
fn split(text: &str) -> Option<(Authority, Option<u16>)> {
    let authority: Authority = text.parse().ok()?;
    let port = match authority.as_str().strip_prefix(authority.host())? {
        "" => None,
        rest => Some(rest.strip_prefix(':')?.parse().ok()?),
    };
    Some((authority, port))
}
