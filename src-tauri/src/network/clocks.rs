//! Whether this machine has slept, judged by its clocks alone. Compares readings; waits for nothing.
//!
//! `Instant` stops while Linux and macOS sleep, and goes on while Windows sleeps; the wall clock goes on everywhere. So a
//! sleep shows as a wall clock that ran ahead, or as a reading that comes much later than it should.

use super::news::NetworkWhy;
use std::time::{Duration, Instant, SystemTime};

/// Shorter than this, no peer has forgotten a connection; longer, no busy machine is late. The wall clock may also have
/// been set by hand, which costs a few idle connections.
pub(super) const JUMP: Duration = Duration::from_secs(5);
/// Linux counts the time it slept; where a machine has no fine clock for that, it counts whole seconds.
const SLEPT: Duration = Duration::from_millis(500);

/// The clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) running: Instant,
    pub(super) wall: SystemTime,
    /// Time asleep since the start of the system; `None` where the system does not count it.
    pub(super) asleep: Option<Duration>,
}

impl Reading {
    pub(super) fn now(asleep: Option<Duration>) -> Self {
        Self { running: Instant::now(), wall: SystemTime::now(), asleep }
    }

    /// Why the machine, or this process, counts as having slept between two readings that follow each other within a
    /// second or so.
    pub(super) fn jump_to(&self, later: &Self) -> Option<NetworkWhy> {
        if let (Some(before), Some(now)) = (self.asleep, later.asleep)
            && now.saturating_sub(before) >= SLEPT
        {
            return Some(NetworkWhy::Woke);
        }
        let running = later.running.saturating_duration_since(self.running);
        // A wall clock that was set back shows nothing.
        let wall = later.wall.duration_since(self.wall).unwrap_or(running);
        (running >= JUMP || wall.saturating_sub(running) >= JUMP).then_some(NetworkWhy::ClockJumped)
    }
}

#[cfg(test)]
mod tests {
    use super::{JUMP, NetworkWhy, Reading};
    use std::time::{Duration, Instant, SystemTime};

    #[test]
    fn a_sleep_shows_in_the_clocks() {
        let before = Reading { running: Instant::now(), wall: SystemTime::now(), asleep: Some(Duration::from_secs(40)) };
        let (second, ms) = (Duration::from_secs(1), Duration::from_millis(1));
        let blind = Reading { asleep: None, ..before };
        let later = |from: Reading, running: Duration, wall: Duration, asleep: u64| Reading {
            running: from.running + running,
            wall: from.wall + wall,
            asleep: from.asleep.map(|a| a + Duration::from_millis(asleep)),
        };
        let rows: &[(&str, Reading, Reading, Option<NetworkWhy>)] = &[
            ("a second like any other", before, later(before, second, second, 0), None),
            ("slept for an hour", before, later(before, second, 3600 * second, 3_599_000), Some(NetworkWhy::Woke)),
            ("a short sleep", before, later(before, second, 2 * second, 1000), Some(NetworkWhy::Woke)),
            ("interrupted between two clocks", before, later(before, second, second, 20), None),
            ("macOS: the wall clock alone went on", blind, later(blind, second, 600 * second, 0), Some(NetworkWhy::ClockJumped)),
            ("Windows: both clocks went on", blind, later(blind, 600 * second, 600 * second, 0), Some(NetworkWhy::ClockJumped)),
            ("a stopped process", before, later(before, 60 * second, 60 * second, 0), Some(NetworkWhy::ClockJumped)),
            ("a busy machine", blind, later(blind, JUMP - ms, JUMP - ms, 0), None),
            ("a little step of the wall clock", blind, later(blind, second, second + JUMP - ms, 0), None),
            ("the least jump", blind, later(blind, second, second + JUMP, 0), Some(NetworkWhy::ClockJumped)),
        ];
        for (what, from, to, expected) in rows {
            assert_eq!(from.jump_to(to), *expected, "{what}");
        }
        let set_back = Reading { running: before.running + second, wall: before.wall - 3600 * second, ..before };
        assert_eq!(before.jump_to(&set_back), None, "the wall clock was set back");
    }
}
