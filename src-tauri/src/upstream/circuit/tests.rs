//! The circuit's decisions, given dials and the time.

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
            true => circuit.succeeded(now, Duration::ZERO),
            false => assert_eq!(circuit.failed(now, &failure(), Duration::ZERO), Tell::One),
        }
        widths.push((0..9).take_while(|n| circuit.turn(now, *n) == Turn::Now).count());
    }
    assert_eq!(widths, [2, 1, 1, 3, 3, 4, 4, 4], "never fewer than the share that succeeds allows");
    circuit.slow_down(now);
    assert_eq!((circuit.turn(now, 2), circuit.turn(now, 3)), (Turn::Now, Turn::AfterOthers));
}

/// Each cause of a dial: who is notified of a failure before the circuit opens, and whether it opens at all.
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
        circuit.succeeded(now, Duration::ZERO);
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
    circuit.succeeded(now, Duration::ZERO);
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
    (0..2).for_each(|_| _ = circuit.failed(now, &failure(), Duration::ZERO));
    circuit.succeeded(now, ms(300));
    assert_eq!(circuit.turn(now, 0), Turn::At(now + ms(300)), "a success among failures does not pay for them");
    (0..20).for_each(|_| circuit.succeeded(now, Duration::ZERO));
    circuit.succeeded(now, ms(300));
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

/// Of ten dials six fail: nobody is notified, nothing opens, and several run at once.
#[test]
fn where_dials_succeed_now_and_then_it_stays_closed_and_wide() {
    let (mut circuit, now) = (Circuit::new(POLICY), Instant::now());
    circuit.succeeded(now, Duration::ZERO);
    for n in 0..500 {
        match n * 37 % 100 < 60 {
            true => assert_eq!(circuit.failed(now, &failure(), Duration::ZERO), Tell::Nobody, "{n}"),
            false => circuit.succeeded(now, Duration::ZERO),
        }
        assert_eq!((circuit.opened(), circuit.turn(now, 0)), (None, Turn::Now), "{n}");
    }
    assert_eq!(circuit.turn(now, 1), Turn::Now, "not one at a time");
}

/// One that worked and stops doing so opens it too, only later.
#[test]
fn a_good_name_is_lost_by_failures_and_by_time() {
    for (later, most) in [(Duration::ZERO, 20), (Duration::from_secs(61), 5)] {
        let (mut circuit, start) = (Circuit::new(POLICY), Instant::now());
        (0..10).for_each(|_| circuit.succeeded(start, Duration::ZERO));
        let now = start + later;
        let failures = (0..100).take_while(|_| {
            circuit.failed(now, &failure(), Duration::ZERO);
            circuit.opened().is_none()
        });
        let failures = failures.count() + 1;
        assert!((5..=most).contains(&failures), "{failures} after {later:?}");
    }
}

/// Spare dials: only where some fail, some succeed, and each takes its time.
#[test]
fn spare_dials_go_by_what_succeeds() {
    let now = Instant::now();
    let rated = |fails: usize, took: Duration| {
        let mut circuit = Circuit::new(POLICY);
        for n in 0..40 {
            if n % 10 < fails {
                _ = circuit.failed(now, &failure(), Duration::ZERO)
            } else {
                circuit.succeeded(now, Duration::ZERO)
            }
        }
        circuit.rate.took(took);
        circuit.wanted(now, 4)
    };
    let wanted = [rated(0, ms(150)), rated(4, ms(150)), rated(4, ms(5)), rated(10, ms(150))];
    assert_eq!((wanted[0], wanted[2], wanted[3]), (4, 4, 4));
    assert!((5..=8).contains(&wanted[1]), "{wanted:?}");
    assert_eq!(Circuit::new(POLICY).wanted(now, 4), 4, "nothing is known");
}

/// An open circuit has no right to more attempts than the budget has.
#[test]
fn the_budgets_pause_holds_while_it_is_open() {
    let now = Instant::now();
    let mut circuit = open(now);
    circuit.failed(now, &failure(), ms(2500));
    assert_eq!(circuit.turn(now, 0), Turn::At(now + ms(2500)), "longer than a probe's");
    circuit.failed(now, &failure(), Duration::from_secs(1000));
    assert_eq!(circuit.turn(now, 0), Turn::At(now + LONGEST));
    circuit.failed(now, &failure(), Duration::MAX);
    assert_eq!(circuit.turn(now, 0), Turn::At(now + POLICY.probe), "there is always a dial some time");
}
