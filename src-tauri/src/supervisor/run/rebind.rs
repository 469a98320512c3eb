//! How handles of the listening socket are released, and how it is bound again. Every accept loop lets go of its handle before
//! another one is made: other code may have closed it, and then the next handle gets its number, which the loop would close.

use super::{
    listener::{Next, SocketRelease},
    state::Run,
};
use crate::{
    health::Code,
    inbound::Order,
    shortage::is_shortage,
    supervisor::recovery::{Handle, Listening, Observations},
};
use std::{io, time::Duration};
use tokio::time::Instant;

/// A loop that runs lets go of its socket in microseconds.
const LET_GO: Duration = Duration::from_millis(100);
/// Pauses between attempts to bind a lost socket again.
const REBIND: Duration = Duration::from_millis(10);

impl Run {
    /// Everybody lets go of the socket, unless that is going on already; then comes `next`.
    pub(super) fn release(&mut self, next: Next) {
        if self.listener.releasing.is_some() {
            return;
        }
        if matches!(next, Next::Rebind) {
            self.listener.socket.let_go();
        }
        self.listener.releases += 1;
        let number = self.listener.releases;
        let waits_for = self.generations.tell_all_to_let_go(number);
        self.listener.releasing = Some(SocketRelease { number, waits_for, until: Instant::now() + LET_GO, next });
        self.listener.wants_handle = true;
        if waits_for == 0 {
            self.released();
        }
    }

    /// One more has let go.
    pub(super) fn has_let_go(&mut self, number: u64) {
        let Some(releasing) = self.listener.releasing.as_mut().filter(|releasing| releasing.number == number) else { return };
        releasing.waits_for = releasing.waits_for.saturating_sub(1);
        if releasing.waits_for == 0 {
            self.released();
        }
    }

    pub(super) fn released(&mut self) {
        match self.listener.releasing.take().map(|releasing| releasing.next) {
            None => {}
            Some(Next::Rebind) => self.rebind(),
            Some(Next::Replace(cause)) => {
                self.replace(cause, "");
                self.restart_what_is_due();
            }
        }
    }

    pub(super) fn rebind(&mut self) {
        self.listener.rebind_at = None;
        let socket = &mut self.listener.socket;
        // Bound already where only a descriptor for the handle was missing.
        let is_bound = socket.listening() == Listening::Yes;
        let bound = if is_bound { Ok(()) } else { socket.rebind() };
        match bound.and_then(|()| socket.dup()) {
            Ok(handle) => {
                self.shared.counters.rebound();
                self.shared.counters.set_accepting(true);
                self.shared.health.clear(Code::ListenerLost, None);
                tracing::info!(address = %self.listener.socket.address(), "bound again");
                self.listener.holders_have_none = false;
                if !is_bound {
                    self.lend_to_all();
                }
                self.hand_out(handle);
                self.probing.mended(self.memory.misses());
                self.restart_what_is_due();
            }
            Err(e) => {
                let address = self.listener.socket.address();
                let may_be_held = e.kind() == io::ErrorKind::AddrInUse && !self.listener.holders_have_none;
                if may_be_held && self.ask_holders() {
                    tracing::debug!("{address} is asked for where it is held");
                } else if e.kind() == io::ErrorKind::AddrInUse {
                    // A generation's own handle of the old socket keeps the address: they let go and finish their streams.
                    self.generations.retire_below(u64::MAX);
                }
                let sentence = format!(
                    "The listening socket on {address} is gone and cannot be bound again yet ({e}); Leeward keeps trying."
                );
                self.shared.health.set(Code::ListenerLost, None, sentence);
                self.listener.rebind_at = Some(Instant::now() + REBIND);
            }
        }
    }

    /// Another handle of the sound socket for the newest accept loop.
    pub(super) fn give_handle(&mut self) {
        // Until it is taken.
        self.listener.wants_handle = true;
        match self.listener.socket.dup() {
            Ok(handle) => self.hand_out(handle),
            Err(e) => {
                if !is_shortage(&e) {
                    tracing::debug!("no new handle of the listening socket could be made: {e}");
                }
                let seen = Observations { handle: self.listener.without_handle(&e), ..self.observe() };
                self.recover(&seen, &e.to_string());
            }
        }
    }

    fn hand_out(&mut self, handle: std::net::TcpListener) {
        if self.generations.tell_newest(Order::Take(handle)) {
            self.listener.is_taken();
        } else {
            let seen = Observations { handle: Handle::NotTaken, ..self.observe() };
            self.recover(&seen, "");
        }
    }

    /// Restarts that were asked for meanwhile.
    fn restart_what_is_due(&mut self) {
        if let Some(replies) = self.listener.due.take() {
            self.restart(replies);
        }
    }
}
