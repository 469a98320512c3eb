//! Whether an origin may be dialled now: pure, given each dial's end and the time. Dials and waits for nothing itself.
//!
//! Closed, it lets a few dials run at once: half as many after each one that failed, one more after each that succeeded, so
//! that an edge with a short accept queue is not stormed; but never fewer than the share of dials that succeed allows. While
//! some succeed, a failed dial is made again at once and nobody is notified. Where nothing succeeds it opens after some
//! failures in a row: one dial at a time probes whether there is a way again, and requests are parked meanwhile.

use super::{endpoint::Endpoint, success_rate::SuccessRate};
use crate::{
    config::Config,
    message::Failure,
    status::faults::{Cause, Whose},
};
use std::time::Duration;
use tokio::time::Instant;

/// The numbers it goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    /// Failed dials in a row that open it.
    failures: u32,
    /// Longest pause between two probes.
    probe: Duration,
    /// The pause before the first probe; it doubles with each.
    base: Duration,
    /// Dials at once when all is well.
    parallel: usize,
}

impl Policy {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            failures: config.circuit.failures,
            probe: config.circuit.probe,
            base: config.retry.base,
            parallel: config.connect.parallel,
        }
    }
}

/// Below this share of successful dials nothing succeeds.
const HOPELESS: f64 = 0.1;
/// Above this share of successful dials no spare ones are made.
const FINE: f64 = 0.75;
/// Spare dials are made where one takes longer than this: else a second one is as good as a spare one.
const QUICK: Duration = Duration::from_millis(20);
/// The longest pause that the budget may ask for.
const LONGEST: Duration = Duration::from_secs(30);

/// Whether to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// At once.
    Now,
    /// Not before this.
    At(Instant),
    /// When a dial that is running has ended.
    AfterOthers,
}

/// What a failed dial means for those who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    /// The first of them has lost an attempt.
    One,
    /// None: they are parked.
    Nobody,
    /// All: trying again cannot help.
    Everybody,
}

/// The state of one origin.
#[derive(Debug)]
pub(super) struct Circuit {
    policy: Policy,
    /// Failures since the last success.
    failures: u32,
    /// The first of them.
    failing_since: Option<Instant>,
    /// The last of them.
    last: Option<Failure>,
    opened: Option<Instant>,
    /// How often it has opened.
    openings: u64,
    /// Dials at once now.
    width: usize,
    /// The last pause before a dial.
    pause: Duration,
    next: Option<Instant>,
    /// How its dials went lately.
    pub(super) rate: SuccessRate,
}

impl Circuit {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            failures: 0,
            failing_since: None,
            last: None,
            opened: None,
            openings: 0,
            width: policy.parallel,
            pause: Duration::ZERO,
            next: None,
            rate: SuccessRate::default(),
        }
    }

    /// How many dials so many waiting requests are worth: more than one each, where dials take their time and a fair part of
    /// them fails. What they make beyond the need is kept warm.
    pub(super) fn wanted(&self, now: Instant, waiting: usize) -> usize {
        let share = self.rate.share(now);
        if self.opened.is_some() || !(HOPELESS..FINE).contains(&share) || self.rate.dial_time() < QUICK {
            return waiting;
        }
        ((waiting as f64 / share).ceil() as usize).min(waiting + self.policy.parallel)
    }

    /// Dials at once, now.
    fn width(&self, now: Instant) -> usize {
        if self.opened.is_some() {
            return 1;
        }
        let fair = (self.policy.parallel as f64 * self.rate.share(now)).ceil() as usize;
        let width = self.width.max(fair);
        width.max(self.wanted(now, width))
    }

    /// Whether another dial may begin while `running` are under way.
    pub(super) fn turn(&self, now: Instant, running: usize) -> Turn {
        let width = self.width(now);
        match self.next {
            _ if running >= width => Turn::AfterOthers,
            Some(next) if next > now => Turn::At(next),
            _ => Turn::Now,
        }
    }

    /// A dial succeeded. `pause`: how long the budget wants the next one to wait, which counts where many fail.
    pub(super) fn succeeded(&mut self, now: Instant, pause: Duration) {
        self.rate.succeeded(now);
        self.close();
        if self.rate.share(now) < FINE {
            self.hold(now, pause);
        }
    }

    fn close(&mut self) {
        self.width = (self.width + 1).min(self.policy.parallel);
        (self.failures, self.failing_since, self.last, self.opened) = (0, None, None, None);
        (self.pause, self.next) = (Duration::ZERO, None);
    }

    /// A dial failed. `pause`: how long the budget wants the next one to wait; where it would wait for ever, a probe's time.
    pub(super) fn failed(&mut self, now: Instant, failure: &Failure, pause: Duration) -> Tell {
        if is_permanent(failure.cause) {
            // The path works as far as it goes; nobody gains by waiting for what will not change.
            self.close();
            return Tell::Everybody;
        }
        self.slow_down(now);
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        self.last = Some(failure.clone());
        let works = self.rate.share(now) >= HOPELESS;
        if self.opened.is_none() && self.failures >= self.policy.failures && !works {
            self.opened = Some(now);
            self.openings += 1;
        }
        if self.opened.is_some() {
            let wanted = if pause == Duration::MAX { self.policy.probe } else { pause.min(LONGEST) };
            self.pause = (self.pause * 2).max(self.policy.base).min(self.policy.probe);
            self.next = Some(now + self.pause.max(wanted));
            return Tell::Nobody;
        }
        self.hold(now, pause);
        if works { Tell::Nobody } else { Tell::One }
    }

    /// The budget wants the next dial to wait for so long. Closed, it waits no longer than for a probe.
    fn hold(&mut self, now: Instant, pause: Duration) {
        if !pause.is_zero() {
            self.next = Some(now + pause.min(self.policy.probe));
        }
    }

    /// The other side had more connections than it wanted.
    pub(super) fn slow_down(&mut self, now: Instant) {
        self.rate.failed(now);
        self.width = (self.width / 2).max(1);
    }

    /// What was learned is about another network.
    pub(super) fn reset(&mut self) {
        *self = Self { openings: self.openings, ..Self::new(self.policy) };
    }

    /// Since when it is open.
    pub(super) fn opened(&self) -> Option<Instant> {
        self.opened
    }

    /// How often it has opened.
    pub(super) fn openings(&self) -> u64 {
        self.openings
    }

    /// How long it has failed.
    pub(super) fn failing_for(&self, now: Instant) -> Option<Duration> {
        self.failing_since.map(|since| now.saturating_duration_since(since))
    }

    /// The last failure since the last success.
    pub(super) fn last(&self) -> Option<&Failure> {
        self.last.as_ref()
    }

    /// Time until the next dial may begin.
    pub(super) fn next_in(&self, now: Instant) -> Duration {
        self.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now))
    }

    /// The failure of a request that has been parked for too long.
    pub(super) fn verdict(&self, now: Instant, origin: &Endpoint) -> Failure {
        let since = self.failing_since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let since =
            if since < Duration::from_secs(1) { format!("{} ms", since.as_millis()) } else { format!("{} s", since.as_secs()) };
        let last = self.last.as_ref().map_or("none is known", |f| &f.detail);
        let where_to_look = match self.last.as_ref().map(|f| f.cause.whose()) {
            Some(Whose::CompanyProxy) => "The company proxy",
            // No network is involved.
            Some(_) if origin.is_local() => "The server on this machine",
            _ => "The network between this machine and the API",
        };
        let detail = format!("{where_to_look}: no connection to {origin} for {since}; the last reason: {last}");
        let known = self.last.as_ref().map(|f| f.known.clone().unwrap_or_else(|| f.by_cause(&origin.name())));
        Failure { known, ..Failure::new(Cause::CircuitOpen, detail) }
    }
}

/// Failures that another dial meets again.
fn is_permanent(cause: Cause) -> bool {
    matches!(cause, Cause::Certificate | Cause::Clock | Cause::NotTls | Cause::Loop | Cause::ProxyLogin)
}

#[cfg(test)]
mod tests;
