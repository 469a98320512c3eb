//! When the user is notified without having looked: when agents cannot work for a while, and when they can again. Values
//! only; whoever shows them asks whether the user wants them.

use super::{Headline, Level, headline, joined};
use crate::status::{Phase, Status, recent::ReachState};

/// Milliseconds that it must be broken before anybody is notified: most of it is repaired sooner.
const BROKEN_FOR: u64 = 3_000;
/// The same for the way to the API, which comes back by itself more often.
const UNREACHABLE_FOR: u64 = 10_000;
/// Milliseconds that it must work again before anybody is notified: a flapping network notifies twice and not twenty times.
const WORKING_FOR: u64 = 5_000;

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// A few words.
    pub title: &'static str,
    /// The condition's own sentence.
    pub text: String,
}

/// What was shown, and what may have to be shown soon.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    told_broken: bool,
    /// Since when it has been other than what was shown.
    other_since: Option<u64>,
}

impl Notices {
    /// Looks at the status. The notice that is due now, and when to look again if the status does not change; both times
    /// in milliseconds since 1970.
    pub fn look(&mut self, status: &Status, now_unix_ms: u64) -> (Option<Notice>, Option<u64>) {
        let now = headline(status, now_unix_ms);
        let failed = status.failure().is_some();
        let serves = matches!(status.phase, Phase::Serving | Phase::Restarting);
        let broken = now.level == Level::Broken;
        // Starting and ending are what the user asked for.
        if !(serves || failed) || broken == self.told_broken {
            self.other_since = None;
            return (None, None);
        }
        let since = *self.other_since.get_or_insert(now_unix_ms);
        let due = since
            + match broken {
                // Nothing repairs that.
                true if failed => 0,
                true if status.reach.state == ReachState::Failing => UNREACHABLE_FOR,
                true => BROKEN_FOR,
                false => WORKING_FOR,
            };
        if now_unix_ms < due {
            return (None, Some(due));
        }
        self.other_since = None;
        self.told_broken = broken;
        let title = if broken { "Agents cannot work" } else { "Agents can work again" };
        let Headline { sentence, next, .. } = now;
        (Some(Notice { title, text: format!("{}.", joined(&sentence, &next)) }), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(accepting: bool) -> Status {
        let mut status = Status { phase: Phase::Serving, ..Status::starting() };
        status.listener.address = "127.0.0.1:8787".into();
        status.listener.accepting = accepting;
        status
    }

    #[test]
    fn what_is_repaired_quickly_is_not_told() {
        let mut notices = Notices::default();
        assert_eq!(notices.look(&status(true), 0), (None, None));
        assert_eq!(notices.look(&status(false), 1_000), (None, Some(4_000)));
        assert_eq!(notices.look(&status(true), 3_999), (None, None));
        assert_eq!(notices.look(&status(false), 4_000), (None, Some(7_000)), "the wait begins anew");
    }

    #[test]
    fn broken_is_told_once_and_its_end_once() {
        let mut notices = Notices::default();
        notices.look(&status(false), 0);
        let (broken, again) = notices.look(&status(false), 3_000);
        let broken = broken.unwrap();
        assert_eq!(
            (broken.title, broken.text.as_str(), again),
            ("Agents cannot work", "Not accepting on 127.0.0.1:8787. Restart Leeward; see the log.", None)
        );
        assert_eq!(notices.look(&status(false), 60_000), (None, None));
        // It flaps: works for less than the wait, again and again.
        for at in [61_000, 63_000, 65_000] {
            assert_eq!(notices.look(&status(true), at), (None, Some(at + 5_000)));
            assert_eq!(notices.look(&status(false), at + 1_000), (None, None));
        }
        notices.look(&status(true), 70_000);
        let (working, _) = notices.look(&status(true), 75_000);
        assert_eq!(working.unwrap().text, "Ready on 127.0.0.1:8787.");
        assert_eq!(notices.look(&status(true), 90_000), (None, None));
    }

    #[test]
    fn an_api_that_cannot_be_reached_is_told_after_a_while_with_the_next_step_and_so_is_its_end() {
        let mut away = status(true);
        away.reach.state = ReachState::Failing;
        away.reach.failing_since_unix_ms = Some(0);
        away.reach.reason = Some("no network".into());
        (away.reach.says, away.reach.next) = (Some("can't reach x (no network)".into()), Some("Check network or VPN".into()));
        let mut notices = Notices::default();
        assert_eq!(notices.look(&away, 60_000), (None, None), "nobody waits for it");
        away.recent.waiting = 2;
        assert_eq!(notices.look(&away, 60_000), (None, Some(70_000)));
        let told = notices.look(&away, 70_000).0.unwrap();
        let wanted =
            "Can't reach x (no network), 2 requests waiting, for 1 min. Check network or VPN; Leeward retries by itself.";
        assert_eq!((told.title, told.text.as_str()), ("Agents cannot work", wanted));
        notices.look(&status(true), 80_000);
        assert_eq!(notices.look(&status(true), 85_000).0.unwrap().title, "Agents can work again");
    }

    #[test]
    fn starting_and_ending_are_no_news() {
        let mut notices = Notices::default();
        for phase in [Phase::Starting, Phase::Draining, Phase::Stopped] {
            for at in [0, 60_000] {
                assert_eq!(notices.look(&Status { phase: phase.clone(), ..status(false) }, at), (None, None), "{phase:?}");
            }
        }
    }
}
