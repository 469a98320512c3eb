//! One tunnel as it is counted and shown: begun with its CONNECT, ended when it is dropped. Never content.

use super::{trace::Trace, traffic::Traffic};
use crate::status::{faults::Cause, tunnels::TunnelEnd};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// One CONNECT from its head to its end. Dropping it ends the count, however it ended.
#[derive(Debug)]
pub struct TunnelTicket {
    traffic: Arc<Traffic>,
    trace: Trace,
    end: TunnelEnd,
    is_open: bool,
    /// Connections so far.
    attempts: u32,
    /// The server has sent something.
    spoken: bool,
}

impl TunnelTicket {
    /// Counts a CONNECT in, and shows it. `target`: host and port, or `-`.
    pub fn begin(traffic: &Arc<Traffic>, target: &str) -> Self {
        traffic.tunnels.current.fetch_add(1, Relaxed);
        traffic.tunnels.begun.fetch_add(1, Relaxed);
        let trace = traffic.activities.begin("CONNECT", target, tokio::time::Instant::now());
        Self { traffic: traffic.clone(), trace, end: TunnelEnd::Refused, is_open: false, attempts: 0, spoken: false }
    }

    /// The session whose programs ask.
    pub fn of_session(&self, agent: &str, session: &str, number: u64) {
        self.traffic.last_seen.note(agent, crate::health::unix_ms());
        self.trace.agent(agent);
        self.trace.session(session, number);
    }

    /// Its session had to register first.
    pub fn waited(&self) {
        self.traffic.tunnels.waited.fetch_add(1, Relaxed);
    }

    /// It was answered with this status and is no tunnel.
    pub fn answered(&self, status: u16) {
        self.trace.status(status);
    }

    /// A connection to the host is asked for.
    pub fn connects(&mut self) {
        self.attempts += 1;
        self.trace.begins(self.attempts);
    }

    /// It is a tunnel from here on.
    pub fn opens(&mut self) {
        self.traffic.tunnels.opened.fetch_add(1, Relaxed);
        self.traffic.tunnels.open.fetch_add(1, Relaxed);
        self.is_open = true;
        self.end = TunnelEnd::ClientGone;
        self.trace.status(200);
        self.trace.sent(false);
    }

    /// Its TLS ends here; its requests have tickets of their own.
    pub fn is_decrypted(&mut self) {
        self.trace.status(200);
        self.end = TunnelEnd::Decrypted;
    }

    /// The connection broke before the server's first byte and is made anew; `hello`: one is sent again.
    pub fn reconnects(&mut self, cause: Cause, hello: bool) {
        self.trace.breaks(cause);
        self.traffic.tunnels.reconnects.fetch_add(1, Relaxed);
        if hello {
            self.traffic.tunnels.replayed_hellos.fetch_add(1, Relaxed);
            self.trace.will_replay();
        }
    }

    /// What was connected anew is there.
    pub fn reconnected(&self) {
        self.trace.sent(false);
    }

    /// The server's first byte is there.
    pub fn first_byte(&mut self) {
        self.spoken = true;
        self.trace.answered();
        self.trace.first_byte();
        self.trace.streams();
    }

    /// It failed with this.
    pub fn fails(&mut self, cause: Cause) {
        self.trace.breaks(cause);
        self.traffic.tunnels.failed[cause as usize].fetch_add(1, Relaxed);
        self.end = TunnelEnd::Failed;
    }

    /// Bytes from the client.
    pub fn up(&self, bytes: u64) {
        self.traffic.tunnels.bytes_up.fetch_add(bytes, Relaxed);
        self.trace.up(bytes);
    }

    /// Bytes from the server.
    pub fn down(&self, bytes: u64) {
        self.traffic.tunnels.bytes_down.fetch_add(bytes, Relaxed);
        self.trace.down(bytes);
    }

    /// How it will have ended unless something else is said before it is dropped. What has failed stays so.
    pub fn ends_as(&mut self, end: TunnelEnd) {
        if self.end != TunnelEnd::Failed {
            self.end = end;
        }
    }
}

impl Drop for TunnelTicket {
    fn drop(&mut self) {
        let tunnels = &self.traffic.tunnels;
        // Only where a connection broke, and the server spoke on another one.
        let is_rescue = self.end == TunnelEnd::Carried && self.spoken && self.attempts > 1;
        let end = if is_rescue { TunnelEnd::Rescued } else { self.end };
        tunnels.ended[end as usize].fetch_add(1, Relaxed);
        if self.is_open {
            tunnels.open.fetch_sub(1, Relaxed);
        }
        tunnels.current.fetch_sub(1, Relaxed);
        if let Some(session) = self.trace.session_number() {
            self.traffic.sessions.tunnel(session, end);
        }
        self.traffic.activities.end_as(&self.trace, end.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_counted_once_and_no_request_is() {
        for (end, opens, replays, counted) in [
            (None, false, false, "refused"),
            (None, true, false, "client-gone"),
            (Some(TunnelEnd::Carried), true, false, "carried"),
            (Some(TunnelEnd::Carried), true, true, "rescued"),
            (Some(TunnelEnd::Reset), true, true, "reset"),
            (Some(TunnelEnd::Cut), true, false, "cut"),
        ] {
            let traffic = Arc::<Traffic>::default();
            let mut ticket = TunnelTicket::begin(&traffic, "api.x:443");
            ticket.connects();
            if opens {
                ticket.opens();
            }
            if replays {
                ticket.reconnects(Cause::Tls, true);
                ticket.connects();
                ticket.first_byte();
            }
            if let Some(end) = end {
                ticket.ends_as(end);
            }
            ticket.up(3);
            ticket.down(4);
            assert_eq!((traffic.tunnels.current(), traffic.tunnels.snapshot().open), (1, u64::from(opens)));
            drop(ticket);
            let stats = traffic.snapshot();
            let tunnels = &stats.tunnels;
            assert_eq!((tunnels.ended[counted], tunnels.ended.values().sum::<u64>()), (1, 1), "{counted}");
            assert_eq!((tunnels.open, tunnels.opened, traffic.tunnels.current()), (0, u64::from(opens), 0), "{counted}");
            assert_eq!((tunnels.replayed_hellos, tunnels.bytes_up, tunnels.bytes_down), (u64::from(replays), 3, 4));
            let requests = (stats.requests, stats.outcomes.values().sum::<u64>(), stats.latency_ms.total.count, stats.rescued);
            assert_eq!(requests, (0, 0, 0, 0), "a tunnel is no request");
            let shown = traffic.activities().list();
            assert_eq!(
                (shown[0].method.as_str(), shown[0].path.as_str(), shown[0].outcome),
                ("CONNECT", "api.x:443", Some(counted))
            );
        }
    }
}
