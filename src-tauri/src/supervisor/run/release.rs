//! Parting from a socket, or from a handle of it: every accept loop lets go of its own before another one is made. Other code
//! may have closed it, and then the next handle gets its number, which the loop would close.

use super::Run;
use crate::inbound::Order;
use tokio::time::Instant;

/// A loop that runs lets go of its socket in microseconds.
const LET_GO: std::time::Duration = std::time::Duration::from_millis(100);

/// What follows when all have let go, or have not said so in time.
pub(super) enum Next {
    /// The socket is gone: the same port is bound again.
    Rebind,
    /// The socket is sound, and a new generation gets a handle of it, for this reason.
    Renew(String),
}

pub(super) struct SocketRelease {
    number: u64,
    waits_for: usize,
    pub(super) until: Instant,
    next: Next,
}

impl Run {
    /// Begins it, unless one is going on.
    pub(super) fn part(&mut self, next: Next) {
        if self.releasing.is_some() {
            return;
        }
        if matches!(next, Next::Rebind) {
            self.socket.let_go();
        }
        self.releases += 1;
        let number = self.releases;
        let waits_for = self.generations.iter().filter(|g| g.tell(Order::LetGo(number))).count();
        self.releasing = Some(SocketRelease { number, waits_for, until: Instant::now() + LET_GO, next });
        if waits_for == 0 {
            self.parted();
        }
    }

    /// One more has let go.
    pub(super) fn has_let_go(&mut self, number: u64) {
        let Some(releasing) = self.releasing.as_mut().filter(|releasing| releasing.number == number) else { return };
        releasing.waits_for = releasing.waits_for.saturating_sub(1);
        if releasing.waits_for == 0 {
            self.parted();
        }
    }

    pub(super) fn parted(&mut self) {
        match self.releasing.take().map(|releasing| releasing.next) {
            None => {}
            Some(Next::Rebind) => self.rebind(),
            Some(Next::Renew(why)) => {
                self.retire_below(self.current + 1);
                self.renew_generation(&why);
                self.restart_what_is_due();
            }
        }
    }

    /// A new generation on our own account, where that may be now; the present ones let go of the socket first.
    pub(super) fn part_and_renew(&mut self, why: &str) {
        if self.may_renew() {
            self.part(Next::Renew(why.to_owned()));
        }
    }

    /// True while there is no socket, or nobody has a handle of it.
    pub(super) fn is_without_socket(&self) -> bool {
        self.releasing.is_some() || self.rebind_at.is_some()
    }

    /// Restarts that were asked for meanwhile.
    pub(super) fn restart_what_is_due(&mut self) {
        if let Some(replies) = self.due.take() {
            self.restart(replies);
        }
    }
}
