//! What the supervisor looks after between events: the socket, the pulse, the backlog, its own probe, files.

use super::{GENERATION_LIMIT, REBIND, Run, SLOW_TICKS, SUSPICIONS, Tick, modified, release::Next};
use crate::{
    health::{Code, unix_ms},
    inbound::{Kind, Order},
    instance::reachable,
    network::NetworkNews,
    status::{Network, Probe},
    supervisor::{generation::Generation, platform, probe},
};
use std::{net::SocketAddr, time::Duration};
use tokio::time::Instant;

/// Connections that wait longer than this, while nobody accepts, are not seen. A little less than the next tick.
const STUCK: Duration = Duration::from_millis(900);
/// An answer that takes longer is watched for beside the ticks.
const OWED: Duration = Duration::from_millis(500);

impl Run {
    // === the socket ===

    /// Accepting failed: is it the socket? If it is sound, the loop gets a fresh handle of it.
    pub(super) fn check_socket(&mut self, why: &str) {
        if self.is_without_socket() {
            return;
        }
        // Where the system does not tell whether a socket listens, one that yields nothing but errors counts as gone.
        let accepted = self.shared.counters.accepted();
        self.suspected = if self.suspected.1 == accepted { (self.suspected.0 + 1, accepted) } else { (1, accepted) };
        let condemned = !platform::KNOWS_LISTENING && self.suspected.0 > SUSPICIONS;
        let fresh = if condemned || !self.socket.is_alive() { None } else { Some(self.socket.dup()) };
        match fresh {
            Some(Ok(dup)) => self.hand_out(dup),
            // Out of handles: when there are some again, the look at who waits on the socket makes another one.
            Some(Err(e)) if Kind::of(&e) != Kind::Socket => {}
            _ => {
                self.suspected.0 = 0;
                tracing::error!("the listening socket is gone ({why}); binding {} again", self.socket.address());
                self.shared.counters.set_accepting(false);
                self.part(Next::Rebind);
            }
        }
    }

    pub(super) fn hand_out(&mut self, socket: std::net::TcpListener) {
        let newest = self.newest();
        if !self.generations.iter().find(|g| g.number == newest).is_some_and(|g| g.tell(Order::Take(socket))) {
            self.replace_generation("the accept loop takes no new socket");
        }
    }

    pub(super) fn rebind(&mut self) {
        self.rebind_at = None;
        let bound = self.socket.rebind().and_then(|()| self.socket.dup());
        match bound {
            Ok(dup) => {
                self.shared.counters.rebound();
                self.shared.counters.set_accepting(true);
                self.shared.health.clear(Code::ListenerLost, None);
                tracing::info!(address = %self.socket.address(), "bound again");
                self.hand_out(dup);
                self.probe_what_was_mended();
                self.restart_what_is_due();
            }
            Err(e) => {
                let address = self.socket.address();
                if e.kind() == std::io::ErrorKind::AddrInUse {
                    // A generation's own handle of the old socket keeps the address: they let go and finish their streams.
                    self.retire_below(u64::MAX);
                }
                self.shared.health.set(
                    Code::ListenerLost,
                    None,
                    format!(
                        "The listening socket on {address} is gone and cannot be bound again yet ({e}); Leeward keeps trying."
                    ),
                );
                self.rebind_at = Some(Instant::now() + REBIND);
            }
        }
    }

    // === looking after things ===

    pub(super) fn look(&mut self) {
        self.ticks += 1;
        let (finished, running) = std::mem::take(&mut self.generations).into_iter().partition(Generation::is_finished);
        self.generations = running;
        let finished: Vec<Generation> = finished;
        finished.into_iter().for_each(Generation::join);
        if self.pending.as_ref().is_some_and(|c| c.since.elapsed() > GENERATION_LIMIT) {
            self.fail_coming("it did not accept in time");
        }
        // One that other code has closed wakes nobody who waits on it: no system tells of that.
        if !self.socket.is_alive() {
            self.check_socket("it does not listen any more");
        }
        if self.releasing.is_some() {
            return;
        }
        if self.current > 0 {
            self.look_for_pulse();
            self.look_for_backlog();
        }
        if self.ticks.is_multiple_of(SLOW_TICKS) {
            if modified(&self.config) != self.file_seen {
                tracing::info!("the config file has changed");
                self.restart(Vec::new());
            }
            self.look_at_wanted_port();
        }
    }

    /// An accept loop that owes its answer for too long hangs, or its whole runtime does.
    pub(super) fn look_for_pulse(&mut self) {
        self.overdue_at = None;
        let (current, stall) = (self.current, self.config.watch.stall);
        let Some(generation) = self.generations.iter_mut().find(|g| g.number == current) else {
            return self.replace_generation("the generation is gone");
        };
        let silent = generation.silent_for();
        if silent >= stall {
            self.retire_below(current + 1);
            self.replace_generation(&format!("the accept loop has been silent for {silent:?}"));
        } else if silent >= OWED {
            // It should have answered long ago: the limit is kept to the millisecond, not to the next tick.
            self.overdue_at = generation.overdue_at(stall);
        }
    }

    /// Connections that wait while nobody accepts nor fails to: the loop runs and does not see them.
    pub(super) fn look_for_backlog(&mut self) {
        let now = (self.shared.counters.accepted(), self.shared.counters.errors());
        if self.is_without_socket() || !self.socket.has_backlog() {
            self.stuck = None;
            return;
        }
        match self.stuck {
            Some((accepted, errors, since)) if (accepted, errors) == now => {
                if since.elapsed() >= STUCK {
                    self.stuck = None;
                    self.part_and_renew("connections wait and nobody accepts them");
                }
            }
            _ => self.stuck = Some((now.0, now.1, Instant::now())),
        }
    }

    pub(super) fn look_at_wanted_port(&mut self) {
        if let Some(address) = self.socket.wanted() {
            let limit = self.config.watch.probe_timeout;
            self.work.spawn(async move {
                let connected = tokio::time::timeout(limit, tokio::net::TcpStream::connect(reachable(address))).await;
                Tick::Free(address, matches!(connected, Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused))
            });
        }
    }

    pub(super) fn port_free(&mut self, address: SocketAddr, free: bool) {
        if free && self.socket.wanted() == Some(address) {
            self.port_settled();
            tracing::info!("{address} is free again; Leeward stays on {} until it is started again", self.socket.address());
        }
    }

    /// No other address is wanted any more.
    pub(super) fn port_settled(&mut self) {
        self.socket.settle();
        self.shared.health.clear(Code::PortTaken, None);
    }

    /// Another network, or the same one after sleep: everybody who holds connections is told, and the probe asks at once.
    pub(super) fn network_news(&mut self, news: NetworkNews) {
        let (why, fingerprint) = match news {
            NetworkNews::Known { fingerprint } => {
                tracing::debug!("the network is known");
                // Nothing has changed, so nobody is woken; whoever asks sees it.
                self.network.send_if_modified(|network| {
                    network.fingerprint = fingerprint;
                    false
                });
                return;
            }
            NetworkNews::Changed { why, fingerprint } => (why, fingerprint),
        };
        self.network.send_modify(|network| {
            network.epoch += 1;
            network.fingerprint = fingerprint.unwrap_or(network.fingerprint);
        });
        self.changes = Network { changes: self.changes.changes + 1, last_unix_ms: Some(unix_ms()), last_why: Some(why) };
        tracing::info!("the network changed: {}", why.sentence());
        self.probe_at = Instant::now();
    }

    /// Somebody waits to hear that all is well again, and the next probe's turn is seconds away. What was mended in vain waits.
    pub(super) fn probe_what_was_mended(&mut self) {
        self.mended = self.probing;
        if self.probe.as_ref().is_some_and(|probe| (1..=2).contains(&probe.misses)) {
            self.probe_at = Instant::now();
        }
    }

    pub(super) fn start_probe(&mut self) {
        self.probing = true;
        let (config, address) = (self.config.clone(), self.socket.address());
        self.work.spawn(async move {
            let (ok, took) = probe::probe(&config, address).await;
            Tick::Probed(ok, took)
        });
    }

    pub(super) fn probed(&mut self, ok: bool, took: Duration) {
        self.probing = false;
        if std::mem::take(&mut self.mended) && !ok {
            // It asked what was there before.
            self.probe_at = Instant::now();
            return;
        }
        let misses = if ok { 0 } else { self.probe.as_ref().map_or(0, |p| p.misses) + 1 };
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.probe = Some(Probe { at_unix_ms: unix_ms(), ok, took_us, misses });
        // A first miss may be chance: ask again at once.
        self.probe_at = Instant::now() + if misses == 1 { Duration::ZERO } else { self.config.watch.probe };
        if ok {
            self.shared.health.clear(Code::ProbeFailing, None);
            return;
        }
        tracing::warn!(misses, "the self-probe of {} got no response", self.socket.address());
        if misses >= 2 {
            self.shared.health.set(
                Code::ProbeFailing,
                None,
                format!(
                    "Leeward does not respond on {} ({misses} self-probes in a row); it is starting a new engine.",
                    self.socket.address()
                ),
            );
            if self.socket.is_alive() {
                self.part_and_renew("two self-probes in a row got no response");
            } else {
                self.check_socket("the self-probe goes unanswered");
            }
        }
    }
}
