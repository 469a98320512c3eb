//! The way to a tunnel's target: who may go there, and how often a connection is tried. Carries nothing.

use super::answers::not_allowed;
use crate::{
    config::Egress,
    exchange::Meaning,
    inbound::server::Inbound,
    message::Failure,
    status::faults::Cause,
    upstream::{Blind, BlindDial, Heard, Target, is_public_address},
};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};

/// Start-up fetches of agents wait for 5 s, this included.
pub(super) const REACH_WITHIN: Duration = Duration::from_secs(4);
/// Pauses between dials: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(400));
/// A plain no (no such name, nothing listens on a machine nearby, the company proxy forbids it) is asked for again for this
/// long: without Leeward an agent would learn it at once. On this machine a no is final.
const NO_WITHIN: Duration = Duration::from_millis(300);

/// The way to a tunnel's target.
pub(super) struct Way<'a> {
    pub(super) inbound: &'a Inbound,
    pub(super) target: Target,
    /// Where it is not the engine's.
    pub(super) egress: Option<Egress>,
}

impl Way<'_> {
    /// Whoever holds a token on loopback is a program of this user, which could go there itself. Others could not.
    fn is_public(&self) -> bool {
        !self.inbound.local.ip().is_loopback()
    }

    fn is_named(&self) -> bool {
        self.inbound.config.tunnel_allow.names(&self.target.host, self.target.port)
    }

    fn permits(&self, ip: IpAddr) -> bool {
        let port = self.target.port;
        (port == 443 && is_public_address(ip)) || self.inbound.config.tunnel_allow.names(&ip.to_canonical().to_string(), port)
    }

    /// Whether it may be tried at all; a name's addresses are looked at when it is dialled.
    pub(super) fn is_allowed(&self) -> Result<(), Meaning> {
        if !self.is_public() || self.is_named() {
            return Ok(());
        }
        let may = match self.target.host.parse::<IpAddr>() {
            Ok(ip) => self.permits(ip),
            Err(_) => self.target.port == 443 || !self.inbound.config.tunnel_allow.written().is_empty(),
        };
        if may {
            return Ok(());
        }
        Err(not_allowed(
            "this Leeward listens on an address that other machines reach, so its tunnels lead to port 443 of public addresses and to what tunnel.allow names",
        ))
    }

    /// Connects, and again until the deadline. `last`: addresses that broke before.
    pub(super) async fn dial(&self, last: &[SocketAddr], deadline: Instant) -> Result<Blind, Failure> {
        let is_open = !self.is_public() || self.is_named();
        let permits = |ip: IpAddr| is_open || self.permits(ip);
        let mut failed = Failure::new(Cause::Connect, format!("no connection within {REACH_WITHIN:?}"));
        let began = Instant::now();
        let tries = async {
            let mut pause = PAUSE.0;
            loop {
                let heard = Heard::default();
                let asked =
                    BlindDial { target: &self.target, egress: self.egress.as_ref(), last, permits: &permits, heard: &heard };
                match self.inbound.upstreams.dial_blind(asked).await {
                    Ok(server) => return Some(server),
                    Err(failure) => {
                        let is_final =
                            matches!(failure.cause, Cause::Loop | Cause::ProxyLogin | Cause::Certificate | Cause::Clock);
                        failed = failure;
                        let is_over = self.target.is_local() || began.elapsed() >= NO_WITHIN;
                        if is_final || (heard.is_no() && is_over) {
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
