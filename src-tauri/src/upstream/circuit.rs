//! Whether an origin may be dialled now: pure, told of each dial's end and of the time. Dials and waits for nothing itself.
//!
//! Closed, it lets a few dials run at once: half as many after each one that failed, one more after each that succeeded, so
//! that an edge with a short accept queue is not stormed. After some failures in a row it opens: one dial at a time probes
//! whether there is a way again, and requests are parked meanwhile.

use super::endpoint::Endpoint;
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
        }
    }

    /// Whether another dial may begin while `running` are under way.
    pub(super) fn turn(&self, now: Instant, running: usize) -> Turn {
        let width = if self.opened.is_some() { 1 } else { self.width };
        match self.next {
            _ if running >= width => Turn::AfterOthers,
            Some(next) if next > now => Turn::At(next),
            _ => Turn::Now,
        }
    }

    /// A dial succeeded.
    pub(super) fn succeeded(&mut self) {
        self.width = (self.width + 1).min(self.policy.parallel);
        (self.failures, self.failing_since, self.last, self.opened) = (0, None, None, None);
        (self.pause, self.next) = (Duration::ZERO, None);
    }

    /// A dial failed. `pause`: how long the budget wants the next one to wait; never longer than a probe would.
    pub(super) fn failed(&mut self, now: Instant, failure: &Failure, pause: Duration) -> Tell {
        if is_permanent(failure.cause) {
            // The path works as far as it goes; nobody gains by waiting for what will not change.
            self.succeeded();
            return Tell::Everybody;
        }
        self.slow_down();
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        self.last = Some(failure.clone());
        if self.opened.is_none() && self.failures >= self.policy.failures {
            self.opened = Some(now);
            self.openings += 1;
        }
        if self.opened.is_some() {
            self.pause = (self.pause * 2).max(self.policy.base).min(self.policy.probe);
            self.next = Some(now + self.pause);
            return Tell::Nobody;
        }
        if !pause.is_zero() {
            self.next = Some(now + pause.min(self.policy.probe));
        }
        Tell::One
    }

    /// The other side had more connections than it wanted.
    pub(super) fn slow_down(&mut self) {
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

    /// The last failure since the last success.
    pub(super) fn last(&self) -> Option<&Failure> {
        self.last.as_ref()
    }

    /// Time until the next dial may begin.
    pub(super) fn next_in(&self, now: Instant) -> Duration {
        self.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now))
    }

    /// What a request is told that has been parked for too long.
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
        Failure::new(
            Cause::CircuitOpen,
            format!("{where_to_look}: no connection to {origin} for {since}; the last reason: {last}"),
        )
    }
}

/// Failures that another dial meets again.
fn is_permanent(cause: Cause) -> bool {
    matches!(cause, Cause::Certificate | Cause::Clock | Cause::NotTls | Cause::Loop | Cause::ProxyLogin)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { failures: 5, probe: Duration::from_secs(1), base: Duration::from_millis(50), parallel: 4 };

    fn endpoint(url: &str) -> Endpoint {
        Endpoint::of(&url::Url::parse(url).unwrap())
    }

    fn failure() -> Failure {
        Failure::new(Cause::Connect, "refused")
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn open(now: Instant) -> Circuit {
        let mut circuit = Circuit::new(POLICY);
        for _ in 0..5 {
            circuit.failed(now, &failure(), Duration::ZERO);
        }
        assert!(circuit.opened().is_some());
        circuit
    }

    #[test]
    fn closed_it_lets_a_few_run_at_once() {
        let (circuit, now) = (Circuit::new(POLICY), Instant::now());
        let turns: Vec<_> = (0..6).map(|running| circuit.turn(now, running)).collect();
        assert_eq!(turns[..4], [Turn::Now; 4]);
        assert_eq!(turns[4..], [Turn::AfterOthers; 2]);
    }

    #[test]
    fn a_failure_halves_and_a_success_adds_one() {
        let (mut circuit, now) = (Circuit::new(POLICY), Instant::now());
        let mut widths = Vec::new();
        for ok in [false, false, false, true, true, true, true, true] {
            match ok {
                true => circuit.succeeded(),
                false => assert_eq!(circuit.failed(now, &failure(), Duration::ZERO), Tell::One),
            }
            widths.push((0..9).take_while(|n| circuit.turn(now, *n) == Turn::Now).count());
        }
        assert_eq!(widths, [2, 1, 1, 2, 3, 4, 4, 4]);
        circuit.slow_down();
        assert_eq!((circuit.turn(now, 1), circuit.turn(now, 2)), (Turn::Now, Turn::AfterOthers));
    }

    /// Each cause of a dial: whom a failure is told before the circuit opens, and whether it opens at all.
    #[test]
    fn the_table() {
        for cause in Cause::ALL {
            let (mut circuit, now) = (Circuit::new(POLICY), Instant::now());
            let failure = Failure::new(*cause, "reason");
            let told: Vec<_> = (0..6).map(|_| circuit.failed(now, &failure, Duration::ZERO)).collect();
            if matches!(cause, Cause::Certificate | Cause::Clock | Cause::NotTls | Cause::Loop | Cause::ProxyLogin) {
                assert_eq!((told, circuit.opened()), (vec![Tell::Everybody; 6], None), "{cause:?}");
            } else {
                assert_eq!((&told[..4], &told[4..]), (&[Tell::One; 4][..], &[Tell::Nobody; 2][..]), "{cause:?}");
                assert_eq!((circuit.opened(), circuit.openings()), (Some(now), 1), "{cause:?}");
            }
        }
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let (mut circuit, now) = (Circuit::new(POLICY), Instant::now());
        for _ in 0..10 {
            for _ in 0..4 {
                circuit.failed(now, &failure(), Duration::ZERO);
            }
            circuit.succeeded();
        }
        assert_eq!((circuit.opened(), circuit.openings(), circuit.last().is_none()), (None, 0, true));
    }

    #[test]
    fn open_it_probes_one_at_a_time_with_growing_pauses() {
        let start = Instant::now();
        let (mut circuit, mut now) = (open(start), start);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let Turn::At(next) = circuit.turn(now, 0) else { panic!("no pause") };
            assert_eq!(circuit.next_in(now), next - now);
            assert_eq!(circuit.turn(next, 1), Turn::AfterOthers, "one at a time");
            assert_eq!(circuit.turn(next, 0), Turn::Now);
            pauses.push((next - now).as_millis());
            now = next;
            assert_eq!(circuit.failed(now, &failure(), Duration::ZERO), Tell::Nobody);
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000, 1000]);
        circuit.succeeded();
        assert_eq!((circuit.opened(), circuit.turn(now, 0)), (None, Turn::Now));
        assert_eq!(circuit.openings(), 1);
    }

    #[test]
    fn a_permanent_failure_closes_it() {
        let now = Instant::now();
        let mut circuit = open(now);
        assert_eq!(circuit.failed(now, &Failure::new(Cause::Certificate, "not trusted"), Duration::ZERO), Tell::Everybody);
        assert_eq!((circuit.opened(), circuit.turn(now, 0)), (None, Turn::Now));
    }

    #[test]
    fn without_budget_a_failure_is_followed_by_a_pause() {
        let (mut circuit, now) = (Circuit::new(POLICY), Instant::now());
        assert_eq!(circuit.failed(now, &failure(), ms(200)), Tell::One);
        assert_eq!(circuit.turn(now, 0), Turn::At(now + ms(200)));
        assert_eq!(circuit.turn(now + ms(200), 0), Turn::Now);
        assert_eq!(circuit.failed(now, &failure(), Duration::MAX), Tell::One);
        assert_eq!(circuit.turn(now, 0), Turn::At(now + POLICY.probe), "there is always a dial some time");
        circuit.succeeded();
        assert_eq!(circuit.turn(now, 0), Turn::Now);
    }

    #[test]
    fn another_network_is_another_beginning() {
        let now = Instant::now();
        let mut circuit = open(now);
        circuit.reset();
        assert_eq!((circuit.opened(), circuit.last().is_none(), circuit.turn(now, 3)), (None, true, Turn::Now));
        assert_eq!((circuit.failed(now, &failure(), Duration::ZERO), circuit.openings()), (Tell::One, 1));
    }

    #[test]
    fn the_verdict_names_how_long_and_why() {
        let now = Instant::now();
        let circuit = open(now);
        let told = circuit.verdict(now + ms(23_400), &endpoint("https://api.example"));
        assert_eq!(told.cause, Cause::CircuitOpen);
        assert_eq!(
            told.detail,
            "The network between this machine and the API: no connection to api.example:443 for 23 s; the last reason: refused"
        );
        assert!(circuit.verdict(now + ms(40), &endpoint("https://h")).detail.contains("for 40 ms"));
        let local = circuit.verdict(now + ms(2000), &endpoint("http://localhost:11434")).detail;
        assert_eq!(local, "The server on this machine: no connection to localhost:11434 for 2 s; the last reason: refused");
    }

    #[test]
    fn absurd_numbers_do_no_harm() {
        let odd = Policy { failures: 1, probe: ms(1), base: ms(5000), parallel: 1 };
        let (mut circuit, now) = (Circuit::new(odd), Instant::now());
        assert_eq!(circuit.failed(now, &failure(), Duration::ZERO), Tell::Nobody);
        assert_eq!(circuit.turn(now, 0), Turn::At(now + ms(1)), "the pause is bounded by the probe's");
        for _ in 0..100 {
            circuit.failed(now, &failure(), Duration::ZERO);
        }
        assert_eq!(circuit.next_in(now), ms(1));
    }
}
