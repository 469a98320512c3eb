//! What is left to do when the supervisor itself fails: nobody owns the socket any more, and that must be seen. Mends
//! nothing: the generations stop accepting without their owner, and the program around it decides what follows.

use crate::{
    health::{Code, Tracker},
    status::{Phase, Status},
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::watch;

/// Runs the supervisor. One that panics, or returns without having been asked to, leaves the status of a broken engine.
pub(super) fn guard(health: &Tracker, publish: &watch::Sender<Status>, supervisor: impl FnOnce()) {
    let panicked = catch_unwind(AssertUnwindSafe(supervisor)).is_err();
    if !panicked && publish.borrow().phase == Phase::Stopped {
        return;
    }
    let sentence =
        "Leeward's supervisor has failed, and nothing is accepted any more: start Leeward again (the log says what failed).";
    tracing::error!("{sentence}");
    health.set(Code::EngineFailed, None, sentence);
    publish.send_modify(|status| {
        status.phase = Phase::Stopped;
        status.listener.accepting = false;
        status.conditions = health.visible();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(supervisor: impl FnOnce(&watch::Sender<Status>)) -> Status {
        let mut status = Status::starting();
        (status.phase, status.listener.accepting) = (Phase::Serving, true);
        let (publish, seen) = watch::channel(status);
        guard(&Tracker::default(), &publish, || supervisor(&publish));
        seen.borrow().clone()
    }

    #[test]
    fn whoever_did_not_stop_as_told_has_failed() {
        let stopped = guarded(|publish| publish.send_modify(|status| status.phase = Phase::Stopped));
        assert_eq!((stopped.failure(), &stopped.conditions[..]), (None, &[][..]));
        for failed in [guarded(|_| panic!("scripted")), guarded(|_| {})] {
            assert_eq!((&failed.phase, failed.listener.accepting, failed.verdict()), (&Phase::Stopped, false, "broken"));
            assert!(failed.failure().is_some_and(|why| why.contains("start Leeward again")), "{failed:?}");
        }
    }
}
