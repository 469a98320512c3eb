//! What became of the requests and tunnels of each session, by its number. Only what met a fault is noted; bounded.

use super::recent::End;
use crate::status::{activity::SessionCounts as Counts, tunnels::TunnelEnd};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Sessions that met faults; the oldest of more is forgotten.
const KEPT: usize = 1024;

#[derive(Debug, Default)]
struct Book {
    counts: BTreeMap<u64, Counts>,
    /// Of those below nothing is known any more, unless it stands in `counts`.
    forgotten: u64,
}

/// The counts of all sessions of this process.
#[derive(Debug, Default)]
pub(super) struct SessionCounts(Mutex<Book>);

impl SessionCounts {
    /// A request of a session has ended.
    pub(super) fn request(&self, session: u64, end: End) {
        match end {
            End::Rescued => self.note(session, |counts| counts.rescued += 1),
            End::Failed(_) => self.note(session, |counts| counts.failed += 1),
            End::Well | End::Other => {}
        }
    }

    /// A tunnel of a session has ended.
    pub(super) fn tunnel(&self, session: u64, end: TunnelEnd) {
        match end {
            TunnelEnd::Rescued => self.note(session, |counts| counts.tunnels_rescued += 1),
            TunnelEnd::Failed => self.note(session, |counts| counts.tunnels_failed += 1),
            _ => {}
        }
    }

    fn note(&self, session: u64, add: impl FnOnce(&mut Counts)) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        add(book.counts.entry(session).or_default());
        while book.counts.len() > KEPT {
            if let Some((oldest, _)) = book.counts.pop_first() {
                book.forgotten = book.forgotten.max(oldest + 1);
            }
        }
    }

    /// Those of a session; `None` once they are forgotten.
    pub(super) fn of(&self, session: u64) -> Option<Counts> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = book.counts.get(&session).copied();
        known.or_else(|| (session >= book.forgotten).then(Counts::default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_met_a_fault_is_counted_for_its_session_alone() {
        let all = SessionCounts::default();
        for end in [End::Rescued, End::Well, End::Failed(None), End::Rescued, End::Other] {
            all.request(7, end);
        }
        for end in [TunnelEnd::Rescued, TunnelEnd::Carried, TunnelEnd::Failed, TunnelEnd::ClientGone, TunnelEnd::Reset] {
            all.tunnel(7, end);
        }
        assert_eq!(all.of(7), Some(Counts { rescued: 2, failed: 1, tunnels_rescued: 1, tunnels_failed: 1 }));
        assert_eq!(all.of(8), Some(Counts::default()));
    }

    #[test]
    fn a_session_that_is_forgotten_is_not_said_to_have_met_no_fault() {
        let all = SessionCounts::default();
        let most = u64::try_from(KEPT).unwrap();
        for session in 0..=most {
            all.request(session, End::Rescued);
        }
        assert_eq!(
            (all.of(0), all.of(1).map(|counts| counts.rescued), all.of(most + 9)),
            (None, Some(1), Some(Counts::default()))
        );
    }
}
