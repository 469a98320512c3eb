//! What decisions need to know of earlier moments: counts in a row, and since when. Pure: `now` is passed in.

use super::Probe;
use std::time::Duration;
use tokio::time::Instant;

/// What is remembered from one observation to the next.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct Memory {
    /// Suspicions against the socket in a row, and the connections accepted when the first of them came.
    suspected: (u32, u64),
    stuck: Option<Stuck>,
    replaced_at: Option<Instant>,
    misses: u32,
}

/// Connections that were seen waiting, and how many had been accepted and had failed then.
#[derive(Clone, Copy, Debug)]
struct Stuck {
    accepted: u64,
    errors: u64,
    since: Instant,
}

impl Memory {
    /// The accept loop suspects the socket; how often in a row, without one success.
    pub(in crate::supervisor) fn suspect(&mut self, accepted: u64) -> u32 {
        self.suspected = if self.suspected.1 == accepted { (self.suspected.0 + 1, accepted) } else { (1, accepted) };
        self.suspected.0
    }

    /// Whether connections wait on the socket, where known; how long they have, while nobody accepts nor fails to.
    pub(in crate::supervisor) fn backlog(
        &mut self,
        now: Instant,
        waits: Option<bool>,
        accepted: u64,
        errors: u64,
    ) -> Option<Duration> {
        match (waits, self.stuck) {
            // Not known: what was seen before stands.
            (None, _) => {}
            (Some(false), _) => self.stuck = None,
            (Some(true), Some(stuck)) if (stuck.accepted, stuck.errors) == (accepted, errors) => {}
            (Some(true), _) => self.stuck = Some(Stuck { accepted, errors, since: now }),
        }
        match waits {
            Some(true) => self.stuck.map(|stuck| now.duration_since(stuck.since)),
            _ => None,
        }
    }

    /// A self-probe ended; what it means beside those before it. One that could not ask is none.
    pub(in crate::supervisor) fn probed(&mut self, answered: Option<bool>) -> Probe {
        match answered {
            None => Probe::CouldNotAsk,
            Some(true) => {
                self.misses = 0;
                Probe::Answered
            }
            Some(false) => {
                self.misses += 1;
                Probe::Missed(self.misses)
            }
        }
    }

    /// Self-probes in a row that went unanswered.
    pub(in crate::supervisor) fn misses(&self) -> u32 {
        self.misses
    }

    /// A generation is replaced automatically.
    pub(in crate::supervisor) fn replaced(&mut self, now: Instant) {
        self.replaced_at = Some(now);
        self.stuck = None;
    }

    /// How long ago that was.
    pub(in crate::supervisor) fn since_replacement(&self, now: Instant) -> Option<Duration> {
        self.replaced_at.map(|at| now.duration_since(at))
    }

    /// Another generation accepts: what waits is seen anew.
    pub(in crate::supervisor) fn accepts(&mut self) {
        self.stuck = None;
    }

    /// The socket is replaced: what was said of the old one is void.
    pub(in crate::supervisor) fn rebinds(&mut self) {
        (self.suspected, self.stuck) = ((0, 0), None);
    }
}
