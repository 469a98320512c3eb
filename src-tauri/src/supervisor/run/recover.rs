//! Observes, asks what to do, and does it. Decides nothing: that is `recovery`'s.

use super::{listener::Next, state::Run};
use crate::supervisor::{
    platform,
    recovery::{Cause, Decision, Handle, Observations, decide},
};
use tokio::time::Instant;

impl Run {
    /// What can be seen without asking anybody but the system.
    pub(super) fn observe(&self) -> Observations {
        let now = Instant::now();
        Observations {
            mending: self.listener.is_mending(),
            socket: self.listener.socket.listening(),
            system_is_silent: !platform::KNOWS_LISTENING,
            // One that is coming up brings a handle of its own.
            handle: if self.generations.is_coming() { Handle::Fine } else { self.listener.handle() },
            coming: self.generations.coming_for(now),
            stall: self.config.watch.stall,
            since_replacement: self.memory.since_replacement(now),
            ..Observations::default()
        }
    }

    /// As `observe`, with the accept loop's pulse and the connections that wait.
    fn observe_all(&mut self) -> Observations {
        let now = Instant::now();
        let mut seen = self.observe();
        if self.generations.current() > 0 && !seen.mending {
            let counters = &self.shared.counters;
            let waits = self.listener.socket.has_backlog();
            seen.waiting = self.memory.backlog(now, waits, counters.accepted(), counters.errors());
            seen.pulse = self.generations.pulse(now);
        }
        seen
    }

    /// Observes everything, and does what there is to do about it.
    pub(super) fn check(&mut self) {
        self.check_at = None;
        let seen = self.observe_all();
        self.recover(&seen, "");
    }

    /// Does what there is to do about what is seen; `detail` is for the log. The decision is returned for who wants to know.
    pub(super) fn recover(&mut self, seen: &Observations, detail: &str) -> Decision {
        let decision = decide(seen);
        match decision {
            Decision::Nothing => {}
            Decision::CheckAgain(time) => {
                let at = Instant::now() + time;
                self.check_at = Some(self.check_at.map_or(at, |earlier| earlier.min(at)));
            }
            Decision::GiveHandle => self.give_handle(),
            Decision::Rebind(cause) => {
                let (why, address) = (with(cause, detail), self.listener.socket.address());
                tracing::error!("the listening socket is gone ({why}); binding {address} again");
                self.memory.rebinds();
                self.shared.counters.set_accepting(false);
                self.release(Next::Rebind);
            }
            Decision::GiveUpPending(cause) => {
                self.give_up_coming(&with(cause, detail));
                // What is wrong beside it has waited for its end.
                self.check();
            }
            Decision::Replace(cause) => self.replace(cause, detail),
            Decision::LetGoAndReplace(cause) => self.release(Next::Replace(cause)),
        }
        decision
    }

    /// A new generation on our own account. The present one goes on until that one accepts.
    pub(super) fn replace(&mut self, cause: Cause, detail: &str) {
        self.memory.replaced(Instant::now());
        tracing::error!(generation = self.generations.current(), "{}; starting a new engine generation", with(cause, detail));
        self.start_generation(Vec::new(), None);
    }

    /// The accept loop suspects the socket.
    pub(super) fn suspect(&mut self, why: &str) {
        let suspicions = self.memory.suspect(self.shared.counters.accepted());
        let seen = Observations { suspicions, ..self.observe() };
        self.recover(&seen, why);
    }

    /// A generation has ended by itself.
    pub(super) fn has_ended(&mut self, number: u64, why: &str) {
        let ended = self.generations.has_ended(number);
        let seen = Observations { ended, ..self.observe() };
        self.recover(&seen, why);
    }
}

fn with(cause: Cause, detail: &str) -> String {
    if detail.is_empty() { cause.to_string() } else { format!("{cause}: {detail}") }
}
