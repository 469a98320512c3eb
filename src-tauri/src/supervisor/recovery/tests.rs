//! The table: what is seen, and the one thing to do about it. Each observation alone, and those that are told apart.

use super::*;
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);
const STALL: Duration = Duration::from_millis(2000);

/// Nothing is wrong and all is known.
fn well() -> Observations {
    Observations { socket: Listening::Yes, pulse: Pulse::Answered, stall: STALL, ..Observations::default() }
}

fn with(change: impl FnOnce(&mut Observations)) -> Observations {
    let mut seen = well();
    change(&mut seen);
    seen
}

#[test]
fn each_observation_alone() {
    use Decision::*;
    let rows = [
        ("nothing was asked", Observations::default(), Nothing),
        ("all is well", well(), Nothing),
        // === the socket ===
        ("the socket is gone", with(|s| s.socket = Listening::No), Rebind(Cause::SocketGone)),
        ("the system cannot say", with(|s| s.socket = Listening::Unknown), Nothing),
        ("the socket is being mended", with(|s| s.mending = true), Nothing),
        ("the loop suspects a socket that is sound", with(|s| s.suspicions = 1), GiveHandle),
        (
            "the loop suspects one of which nothing is known",
            with(|s| (s.suspicions, s.socket) = (1, Listening::Unknown)),
            GiveHandle,
        ),
        ("the loop suspects it again and again", with(|s| s.suspicions = 100), GiveHandle),
        ("the loop waits for a handle", with(|s| s.handle = Handle::Wanted), GiveHandle),
        ("no descriptor for a handle", with(|s| s.handle = Handle::Short), CheckAgain(RETRY)),
        ("no handle can be made of it", with(|s| s.handle = Handle::Refused), Rebind(Cause::NoHandle)),
        ("the loop takes no handle", with(|s| s.handle = Handle::NotTaken), Replace(Cause::HandleNotTaken)),
        // === where the system does not say whether it listens ===
        ("suspected, a third time", with(|s| (s.system_is_silent, s.suspicions) = (true, SUSPICIONS)), GiveHandle),
        (
            "suspected, a fourth time",
            with(|s| (s.system_is_silent, s.suspicions) = (true, SUSPICIONS + 1)),
            Rebind(Cause::SocketOnlyFails),
        ),
        // === a generation that is coming up ===
        ("one is coming up", with(|s| s.coming = Some(MS)), Nothing),
        ("one has had its time", with(|s| s.coming = Some(GENERATION_LIMIT)), Nothing),
        ("one is late", with(|s| s.coming = Some(GENERATION_LIMIT + MS)), GiveUpPending(Cause::Late)),
        (
            "one ended while it was coming up",
            with(|s| (s.coming, s.ended) = (Some(MS), Some(Ended::Pending))),
            GiveUpPending(Cause::Ended),
        ),
        // === the present generation ===
        ("it ended", with(|s| s.ended = Some(Ended::Present)), Replace(Cause::Ended)),
        ("it is not there", with(|s| s.pulse = Pulse::Gone), Replace(Cause::LoopGone)),
        ("its pulse was not asked for", with(|s| s.pulse = Pulse::NotAsked), Nothing),
        ("its pulse is owed for a moment", with(|s| s.pulse = Pulse::Owed(OWED - MS)), Nothing),
        ("its pulse is owed", with(|s| s.pulse = Pulse::Owed(OWED)), CheckAgain(STALL - OWED)),
        ("its pulse is owed almost too long", with(|s| s.pulse = Pulse::Owed(STALL - MS)), CheckAgain(MS)),
        ("its pulse is owed too long", with(|s| s.pulse = Pulse::Owed(STALL)), Replace(Cause::Silent(STALL))),
        ("connections wait for a moment", with(|s| s.waiting = Some(STUCK - MS)), Nothing),
        ("connections wait", with(|s| s.waiting = Some(STUCK)), LetGoAndReplace(Cause::NobodyAccepts)),
        // === the self-probe ===
        ("a probe was answered", with(|s| s.probe = Probe::Answered), Nothing),
        ("a probe was missed", with(|s| s.probe = Probe::Missed(1)), Nothing),
        ("two probes were missed", with(|s| s.probe = Probe::Missed(2)), LetGoAndReplace(Cause::ProbesUnanswered(2))),
        ("many probes were missed", with(|s| s.probe = Probe::Missed(9)), LetGoAndReplace(Cause::ProbesUnanswered(9))),
        ("a probe could not ask", with(|s| s.probe = Probe::CouldNotAsk), Nothing),
        // === automatic replacements ===
        ("one was replaced just now", with(|s| s.since_replacement = Some(Duration::ZERO)), Nothing),
    ];
    for (what, seen, expected) in rows {
        assert_eq!(decide(&seen), expected, "{what}");
    }
}

#[test]
fn what_is_told_apart_when_much_is_wrong_at_once() {
    use Decision::*;
    let everything = with(|s| {
        (s.suspicions, s.handle, s.ended) = (9, Handle::Wanted, Some(Ended::Present));
        (s.pulse, s.waiting, s.probe) = (Pulse::Owed(2 * STALL), Some(2 * STUCK), Probe::Missed(5));
    });
    let rows = [
        (
            "a late generation comes before all else",
            Observations { coming: Some(2 * GENERATION_LIMIT), mending: true, ..everything },
            GiveUpPending(Cause::Late),
        ),
        (
            "one that ended while it came up does, too",
            Observations { coming: Some(MS), ended: Some(Ended::Pending), mending: true, ..everything },
            GiveUpPending(Cause::Ended),
        ),
        ("while the socket is mended, nothing else is", Observations { mending: true, ..everything }, Nothing),
        (
            "a lost socket is bound again, whatever the generation does",
            Observations { socket: Listening::No, ..everything },
            Rebind(Cause::SocketGone),
        ),
        (
            "also while a generation is coming up, which would get a dead one",
            Observations { socket: Listening::No, coming: Some(MS), ..everything },
            Rebind(Cause::SocketGone),
        ),
        ("a handle that is wanted is given before anybody is replaced", everything, GiveHandle),
        (
            "an engine that ended is not asked for its pulse",
            Observations { suspicions: 0, handle: Handle::Fine, ..everything },
            Replace(Cause::Ended),
        ),
        (
            "a silent loop is told from one that does not see its connections",
            Observations { suspicions: 0, handle: Handle::Fine, ended: None, ..everything },
            Replace(Cause::Silent(2 * STALL)),
        ),
        (
            "connections that wait are seen before a probe that waits among them",
            Observations { pulse: Pulse::Answered, suspicions: 0, handle: Handle::Fine, ended: None, ..everything },
            LetGoAndReplace(Cause::NobodyAccepts),
        ),
        (
            "a probe that could not ask does not hide a loop that hangs",
            with(|s| (s.probe, s.pulse) = (Probe::CouldNotAsk, Pulse::Owed(STALL))),
            Replace(Cause::Silent(STALL)),
        ),
        (
            "nor connections that nobody accepts",
            with(|s| (s.probe, s.waiting) = (Probe::CouldNotAsk, Some(STUCK))),
            LetGoAndReplace(Cause::NobodyAccepts),
        ),
        (
            "probes that were missed and a pulse that is owed",
            with(|s| (s.probe, s.pulse) = (Probe::Missed(2), Pulse::Owed(OWED))),
            LetGoAndReplace(Cause::ProbesUnanswered(2)),
        ),
        (
            "a first miss leaves the pulse watched for",
            with(|s| (s.probe, s.pulse) = (Probe::Missed(1), Pulse::Owed(OWED))),
            CheckAgain(STALL - OWED),
        ),
        (
            "without a descriptor no handle and no verdict",
            with(|s| (s.handle, s.probe, s.suspicions) = (Handle::Short, Probe::CouldNotAsk, 3)),
            CheckAgain(RETRY),
        ),
    ];
    for (what, seen, expected) in rows {
        assert_eq!(decide(&seen), expected, "{what}");
    }
}

/// Every reason to replace a generation.
fn reasons() -> Vec<Observations> {
    vec![
        with(|s| s.ended = Some(Ended::Present)),
        with(|s| s.pulse = Pulse::Gone),
        with(|s| s.pulse = Pulse::Owed(STALL)),
        with(|s| s.waiting = Some(STUCK)),
        with(|s| s.probe = Probe::Missed(MISSES)),
        with(|s| s.handle = Handle::NotTaken),
    ]
}

#[test]
fn automatic_replacements_keep_their_distance() {
    for seen in reasons() {
        let after = |since| decide(&Observations { since_replacement: Some(since), ..seen });
        let replaces = |decision| matches!(decision, Decision::Replace(_) | Decision::LetGoAndReplace(_));
        assert!(replaces(decide(&seen)), "{seen:?}");
        assert_eq!(after(Duration::ZERO), Decision::CheckAgain(DISTANCE), "{seen:?}");
        assert_eq!(after(DISTANCE - MS), Decision::CheckAgain(MS), "{seen:?}");
        assert!(replaces(after(DISTANCE)), "{seen:?}");
        let coming = Observations { coming: Some(MS), ..seen };
        assert_eq!(decide(&coming), Decision::Nothing, "one that is coming up is waited for: {seen:?}");
    }
}

/// Whatever strikes, and however often: a millisecond between two faults, and generations that accept at once.
#[test]
fn a_storm_of_faults_makes_no_storm_of_generations() {
    const SECONDS: u32 = 10;
    let begun = Instant::now();
    for seen in reasons() {
        let (mut memory, mut generations) = (Memory::default(), 0);
        for ms in 0..SECONDS * 1000 {
            let now = begun + ms * MS;
            let seen = Observations { since_replacement: memory.since_replacement(now), ..seen };
            if let Decision::Replace(_) | Decision::LetGoAndReplace(_) = decide(&seen) {
                generations += 1;
                memory.replaced(now);
                memory.accepts();
            }
        }
        let most = SECONDS * 1000 / u32::try_from(DISTANCE.as_millis()).unwrap();
        assert_eq!(generations, most, "{seen:?}");
    }
}

/// What cannot be asked, for as long as it cannot: nothing is ever replaced, bound again or given up for it.
#[test]
fn not_known_is_never_a_reason() {
    let mut memory = Memory::default();
    let begun = Instant::now();
    assert_eq!(memory.probed(Some(false)), Probe::Missed(1), "one miss from before");
    for second in 0..3600 {
        let now = begun + second * Duration::from_secs(1);
        let seen = Observations {
            socket: Listening::Unknown,
            waiting: memory.backlog(now, None, 7, 7),
            probe: memory.probed(None),
            ..well()
        };
        assert_eq!(decide(&seen), Decision::Nothing, "second {second}");
    }
    assert_eq!(memory.probed(Some(false)), Probe::Missed(2), "and nothing is forgotten over it");
}

#[test]
fn suspicions_count_until_something_is_accepted() {
    let mut memory = Memory::default();
    assert_eq!([5, 5, 5, 6, 6].map(|accepted| memory.suspect(accepted)), [1, 2, 3, 1, 2]);
    memory.rebinds();
    assert_eq!(memory.suspect(6), 1, "another socket is not suspected yet");
}

#[test]
fn connections_wait_while_nobody_accepts_nor_fails_to() {
    let begun = Instant::now();
    let mut memory = Memory::default();
    // Millisecond, whether any wait, accepted, failed; for how long they have.
    let rows = [
        (0, Some(false), 1, 0, None),
        (100, Some(true), 1, 0, Some(0)),
        (600, Some(true), 1, 0, Some(500)),
        (700, None, 1, 0, None),
        (1000, Some(true), 1, 0, Some(900)),
        (1100, Some(true), 2, 0, Some(0)),
        (1200, Some(true), 2, 1, Some(0)),
        (1300, Some(true), 2, 1, Some(100)),
        (1400, Some(false), 2, 1, None),
        (1500, Some(true), 2, 1, Some(0)),
    ];
    for (ms, waits, accepted, errors, expected) in rows {
        let waiting = memory.backlog(begun + ms * MS, waits, accepted, errors);
        assert_eq!(waiting, expected.map(|ms: u32| ms * MS), "at {ms} ms");
    }
    memory.accepts();
    assert_eq!(memory.backlog(begun + 2000 * MS, Some(true), 2, 1), Some(Duration::ZERO), "another generation sees them anew");
}

#[test]
fn misses_count_in_a_row() {
    let mut memory = Memory::default();
    let outcomes = [Some(false), None, Some(false), Some(true), Some(false)].map(|answered| memory.probed(answered));
    let expected = [Probe::Missed(1), Probe::CouldNotAsk, Probe::Missed(2), Probe::Answered, Probe::Missed(1)];
    assert_eq!(outcomes, expected);
    assert_eq!(memory.misses(), 1);
}
