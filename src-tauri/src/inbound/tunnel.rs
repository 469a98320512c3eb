//! CONNECT: a session's programs reach any host through Leeward, which carries their bytes and understands none.
//!
//! The session's token opens tunnels and nothing else. What is sent again is a TLS hello, and only until the server's first
//! byte has come. Never logs what a client sends.

pub mod hello;
mod relay;
mod replay;
pub mod request;

use super::{
    farewell::{GRACE, close},
    refusal::respond_raw,
    server::Inbound,
};
use crate::{
    exchange::Meaning,
    message::Failure,
    status::faults::{Cause, Outcome},
    telemetry::Ticket,
    upstream::{Blind, Target},
};
use bytes::BytesMut;
use request::Invalid;
pub(super) use request::is_connect;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep, timeout, timeout_at},
};

/// Start-up fetches of agents wait for 5 s, this included.
const REACH_WITHIN: Duration = Duration::from_secs(4);
/// Pauses between dials: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(400));
/// Some agents wait for ever on a response that comes in two segments: it is written at once.
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection Established\r\n\r\n";
/// The connection stays open: git asks without credentials first, and then again on the same connection.
const NO_TOKEN: &[u8] =
    b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"leeward\"\r\ncontent-length: 0\r\n\r\n";
/// The same where more has come already, which is meant for a tunnel that there is not, and is nobody's request.
const NO_TOKEN_CLOSE: &[u8] = b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"leeward\"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Serves the CONNECT that `came` begins with. The socket comes back when its client may ask again.
pub(super) async fn serve(inbound: &Inbound, mut client: TcpStream, came: BytesMut, shed: bool) -> Option<TcpStream> {
    let mut ticket = inbound.traffic.begin();
    let asked = request::parse(&came);
    let shown = asked.as_ref().map_or_else(|_| "-".to_owned(), |(asked, _)| asked.shown());
    ticket.noted("CONNECT", &shown);
    ticket.ends_as(Outcome::Refused);
    let (asked, end) = match asked {
        Ok(asked) => asked,
        Err(why) => return refuse(inbound, &ticket, client, &invalid(why)).await,
    };
    if shed {
        return refuse(inbound, &ticket, client, &super::refusal::over_cap(inbound.config.limits.connections)).await;
    }
    let key = match &asked.token {
        Some(token) => inbound.sessions.awaited_tunnel_key(token.reveal()).await,
        None => None,
    };
    let Some(key) = key else {
        ticket.trace().status(407);
        let is_more = came.len() > end;
        if client.write_all(if is_more { NO_TOKEN_CLOSE } else { NO_TOKEN }).await.is_err() {
            return None;
        }
        if is_more {
            farewell(inbound, client).await;
            return None;
        }
        return Some(client);
    };
    ticket.from_agent(&key.agent);
    let way = Way { inbound, target: &asked.target, egress: key.egress.as_ref() };
    if let Err(meaning) = way.is_allowed() {
        return refuse(inbound, &ticket, client, &meaning).await;
    }
    let server = match way.dial(&[], Instant::now() + REACH_WITHIN).await {
        Ok(server) => server,
        Err(failure) => {
            ticket.ends_as(if failure.cause == Cause::Loop { Outcome::Refused } else { Outcome::Failed });
            if failure.cause != Cause::Loop {
                ticket.failed_with(failure.cause, 1);
            }
            return refuse(inbound, &ticket, client, &unreachable(&asked.target, &failure)).await;
        }
    };
    ticket.trace().status(200);
    ticket.trace().streams();
    ticket.ends_as(Outcome::Answered);
    if client.write_all(ESTABLISHED).await.is_err() {
        ticket.ends_as(Outcome::ClientGone);
        return None;
    }
    carry(&way, &mut ticket, client, server, &came[end..]).await;
    None
}

/// Carries bytes until both ends have closed, or one is reset.
async fn carry(way: &Way<'_>, ticket: &mut Ticket, mut client: TcpStream, server: Blind, first: &[u8]) {
    match replay::until_first_byte(way, ticket, &mut client, server, first).await {
        replay::Opened::Carries(server, closed) => {
            if relay::both(client, server, ticket.trace(), closed).await.is_err() {
                ticket.ends_as(Outcome::Cut);
            }
        }
        replay::Opened::Lost => {
            ticket.ends_as(Outcome::Failed);
            relay::reset(client);
        }
        replay::Opened::ClientLeft => ticket.ends_as(Outcome::ClientGone),
    }
}

/// The way to a tunnel's target.
#[derive(Clone, Copy)]
struct Way<'a> {
    inbound: &'a Inbound,
    target: &'a Target,
    egress: Option<&'a crate::config::Egress>,
}

impl Way<'_> {
    /// Whoever holds a token on loopback is a program of this user, which could go there itself. Others could not.
    fn is_public(&self) -> bool {
        !self.inbound.local.ip().is_loopback()
    }

    fn is_allowed(&self) -> Result<(), Meaning> {
        let literal = self.target.host.parse::<IpAddr>();
        if self.is_public() && (self.target.port != 443 || literal.is_ok_and(|ip| !is_public_address(ip))) {
            return Err(not_allowed(
                "this Leeward listens on an address that other machines reach, so its tunnels lead to port 443 of public addresses only",
            ));
        }
        Ok(())
    }

    /// Connects, and again until the deadline. `last`: addresses that broke before.
    async fn dial(&self, last: &[SocketAddr], deadline: Instant) -> Result<Blind, Failure> {
        let permits: fn(IpAddr) -> bool = if self.is_public() { is_public_address } else { |_| true };
        let mut failed = Failure::new(Cause::Connect, format!("no connection within {REACH_WITHIN:?}"));
        let tries = async {
            let mut pause = PAUSE.0;
            loop {
                match self.inbound.upstreams.dial_blind(self.target, self.egress, last, permits).await {
                    Ok(server) => return Some(server),
                    Err(failure) => {
                        let is_final =
                            matches!(failure.cause, Cause::Loop | Cause::ProxyLogin | Cause::Certificate | Cause::Clock);
                        failed = failure;
                        if is_final || self.target.is_local() {
                            return None;
                        }
                    }
                }
                sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        };
        let reached = timeout_at(deadline, tries).await;
        reached.ok().flatten().ok_or(failed)
    }
}

/// True for what the Internet routes.
fn is_public_address(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (b & 0xc0) == 64;
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || a == 0
                || a >= 240
                || shared)
        }
        IpAddr::V6(v6) => (v6.segments()[0] & 0xe000) == 0x2000,
    }
}

fn not_allowed(why: &str) -> Meaning {
    Meaning::new(403, "tunnel-not-allowed", false, format!("No tunnel leads there: {why}."))
}

fn invalid(why: Invalid) -> Meaning {
    let why = match why {
        Invalid::Head => "is no valid request",
        Invalid::Target => "must name a host and a port, and nothing else",
        Invalid::Body => "has a body, which no CONNECT has",
    };
    Meaning::new(400, "bad-connect", false, format!("The CONNECT {why}."))
}

fn unreachable(target: &Target, failure: &Failure) -> Meaning {
    let Target { host, port } = target;
    match failure.cause {
        Cause::Loop => not_allowed(&failure.detail),
        // Agents take 504 for a slow API and 4xx for a failed login: whatever the network did is 502.
        cause => {
            Meaning::new(502, cause.as_str(), true, format!("{host} could not be reached on port {port} ({}).", failure.detail))
        }
    }
}

async fn refuse(inbound: &Inbound, ticket: &Ticket, mut client: TcpStream, meaning: &Meaning) -> Option<TcpStream> {
    ticket.trace().status(meaning.status.as_u16());
    if client.write_all(&respond_raw(meaning)).await.is_ok() {
        farewell(inbound, client).await;
    }
    None
}

/// Closes so that the client can read everything: grace, FIN, linger.
async fn farewell(inbound: &Inbound, mut client: TcpStream) {
    timeout(GRACE, tokio::io::copy(&mut client, &mut tokio::io::sink())).await.ok();
    close(inbound, client).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_those_that_the_internet_routes() {
        for (text, public) in [
            ("93.184.216.34", true),
            ("2606:4700::1111", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("192.168.0.1", false),
            ("172.16.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("::1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("::ffff:10.0.0.1", false),
        ] {
            assert_eq!(is_public_address(text.parse().unwrap()), public, "{text}");
        }
    }
}
