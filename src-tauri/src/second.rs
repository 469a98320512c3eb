//! The one tick of what is looked after once a second: all of it in the same moment, so that an idle processor is woken
//! once and sleeps the rest. Whatever an event can report does not belong here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Between two ticks.
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Ticks when the wall clock's second is full; one that is set afterwards moves nothing. A tick that is missed stays so.
///
/// # Panics
/// Outside a runtime.
pub(crate) fn ticks() -> Interval {
    let past = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    let mut ticks = interval_at(Instant::now() + SECOND - Duration::from_nanos(past.into()), SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}
