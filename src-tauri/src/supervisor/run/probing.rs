//! The self-probe in the loop: made in its turn, and what came of it is reported.

use super::state::{Run, Tick};
use crate::{
    health::Code,
    supervisor::{
        probe::{self, Answer},
        recovery::{Decision, MISSES, Observations, Probe},
    },
};
use std::time::Duration;
use tokio::time::Instant;

impl Run {
    pub(super) fn start_probe(&mut self) {
        self.probing.is_under_way = true;
        self.probing.errors_before = self.shared.counters.errors();
        let (config, address) = (self.config.clone(), self.listener.socket.address());
        self.work.spawn(async move {
            let (answer, took) = probe::probe(&config, address).await;
            Tick::Probed(answer, took)
        });
    }

    pub(super) fn probed(&mut self, answer: &Answer, took: Duration) {
        self.probing.is_under_way = false;
        let answered = self.answered(answer);
        if std::mem::take(&mut self.probing.mended) && answered == Some(false) {
            // It asked what was there before.
            self.probing.next_at = Instant::now();
            return;
        }
        let outcome = self.memory.probed(answered);
        self.probing.ended(outcome, took, &self.config.watch);
        self.tell_of_probe(answer, outcome);
        let seen = Observations { probe: outcome, ..self.observe() };
        if let Decision::CheckAgain(time) = self.recover(&seen, "") {
            // By then it is not known any more what this one has found.
            self.probing.next_at = self.probing.next_at.min(Instant::now() + time);
        }
    }

    /// `None`: it could not ask. While accepting fails for a shortage, nobody can be answered, and another engine would
    /// have no more descriptors.
    fn answered(&self, answer: &Answer) -> Option<bool> {
        let short = || {
            let failing = self.shared.counters.errors() > self.probing.errors_before;
            failing && self.shared.health.stands(Code::ResourcesExhausted)
        };
        match answer {
            Answer::Answered => Some(true),
            Answer::Missed => (!short()).then_some(false),
            Answer::CouldNotAsk(_) => None,
        }
    }

    fn tell_of_probe(&mut self, answer: &Answer, outcome: Probe) {
        let (health, address) = (&self.shared.health, self.listener.socket.address());
        match (outcome, answer) {
            (Probe::Answered, _) => {
                health.clear(Code::ProbeFailing, None);
                // It took a descriptor at either end.
                health.clear(Code::ResourcesExhausted, None);
                self.probing.says_short = false;
            }
            (Probe::Missed(misses), _) => {
                if std::mem::take(&mut self.probing.says_short) {
                    health.clear(Code::ResourcesExhausted, None);
                }
                tracing::warn!(misses, "the self-probe of {address} went unanswered");
                if misses >= MISSES {
                    let sentence = format!(
                        "Leeward does not answer on {address} ({misses} self-probes in a row); it is starting a new engine."
                    );
                    health.set(Code::ProbeFailing, None, sentence);
                }
            }
            (Probe::CouldNotAsk, Answer::CouldNotAsk(why)) => {
                tracing::warn!("the self-probe of {address} could not be made: {why}");
                // The accept loop says more where it cannot go on either.
                if self.probing.says_short || !health.stands(Code::ResourcesExhausted) {
                    self.probing.says_short = true;
                    let sentence = format!(
                        "Leeward cannot check itself because the system is out of file descriptors, memory or ports ({why}); close programs, or raise the limit (ulimit -n)."
                    );
                    health.set(Code::ResourcesExhausted, None, sentence);
                }
            }
            (Probe::CouldNotAsk, _) => {
                tracing::warn!(
                    "the self-probe of {address} went unanswered, as accepting fails for want of descriptors or memory"
                );
            }
            (Probe::NotEnded, _) => {}
        }
    }
}
