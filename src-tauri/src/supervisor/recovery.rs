//! What to do about what is seen: the observations of one moment go in, one decision comes out. Pure: asks nothing, does
//! nothing, and has no clock.
//!
//! What could not be asked is not known, and what is not known changes nothing (L9).

mod memory;
#[cfg(test)]
mod tests;

pub(super) use memory::Memory;

use std::{fmt, time::Duration};

/// A new generation accepts in milliseconds; one that does not within this is given up.
const GENERATION_LIMIT: Duration = Duration::from_secs(3);
/// A pulse that is owed for longer is watched for beside the ticks.
const OWED: Duration = Duration::from_millis(500);
/// Connections that wait longer than this, while nobody accepts, are not seen. A little less than the next tick.
const STUCK: Duration = Duration::from_millis(900);
/// So often in a row, without one success, may a socket that looks alive be suspected before it is bound again.
const SUSPICIONS: u32 = 3;
/// So many self-probes in a row that went unanswered are no chance.
pub(super) const MISSES: u32 = 2;
/// Automatic replacements keep at least this distance, so that a storm of faults makes no storm of generations.
const DISTANCE: Duration = Duration::from_millis(200);
/// Between two tries to get a handle of the socket while the system has none to give.
const RETRY: Duration = Duration::from_millis(50);

/// What is seen at one moment. The default: nothing was asked, and nothing happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Observations {
    /// The socket is being let go of, or bound again.
    pub(super) mending: bool,
    /// The system's word on the socket.
    pub(super) socket: Listening,
    /// Where that word is not to be had, a socket that yields nothing but errors counts as gone.
    pub(super) system_is_silent: bool,
    /// How often in a row, without one success, the accept loop has suspected the socket; 0 when it does not.
    pub(super) suspicions: u32,
    /// What came of the last try to give the newest accept loop a handle of the socket.
    pub(super) handle: Handle,
    /// How long a generation has been coming up, while one is.
    pub(super) coming: Option<Duration>,
    /// A generation ended that nobody had asked to.
    pub(super) ended: Option<Ended>,
    /// The present accept loop's pulse.
    pub(super) pulse: Pulse,
    /// How long a pulse may be owed.
    pub(super) stall: Duration,
    /// How long connections have waited while nobody accepts nor fails to.
    pub(super) waiting: Option<Duration>,
    /// The self-probe that has just ended.
    pub(super) probe: Probe,
    /// How long ago a generation was last replaced automatically.
    pub(super) since_replacement: Option<Duration>,
}

/// Whether the socket listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Listening {
    /// Not asked, or the system could not say.
    #[default]
    Unknown,
    Yes,
    No,
}

/// What came of a try to give an accept loop a handle of the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Handle {
    /// Nobody tried, or it was taken.
    #[default]
    Fine,
    /// The loop has let go of its own and was given none since.
    Wanted,
    /// The loop has none, and there was no descriptor for one.
    Short,
    /// The system makes none of this socket.
    Refused,
    /// The loop does not take it.
    NotTaken,
}

/// Which generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Pending,
    Present,
}

/// The present accept loop's pulse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pulse {
    #[default]
    NotAsked,
    Answered,
    /// It has owed an answer for so long.
    Owed(Duration),
    /// There is no loop to answer.
    Gone,
}

/// What came of a self-probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Probe {
    #[default]
    NotEnded,
    Answered,
    /// Unanswered, the so-manieth in a row.
    Missed(u32),
    /// It could not ask, or accepting fails for the same lack.
    CouldNotAsk,
}

/// The one thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Nothing,
    /// Check everything again in this time, without waiting for the next tick.
    CheckAgain(Duration),
    /// The socket is sound: the newest accept loop gets another handle of it.
    GiveHandle,
    /// The socket is gone: everybody lets go of it, and the same port is bound again.
    Rebind(Cause),
    /// The generation that is coming up is given up.
    GiveUpPending(Cause),
    /// The next generation is started; the present one goes on until that one accepts.
    Replace(Cause),
    /// As `Replace`, when everybody has let go of the socket.
    LetGoAndReplace(Cause),
}

/// Why, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    SocketGone,
    SocketOnlyFails,
    NoHandle,
    HandleNotTaken,
    Ended,
    Late,
    LoopGone,
    Silent(Duration),
    NobodyAccepts,
    ProbesUnanswered(u32),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SocketGone => f.write_str("it does not listen any more"),
            Self::SocketOnlyFails => f.write_str("accepting only fails"),
            Self::NoHandle => f.write_str("no new handle of it can be made"),
            Self::HandleNotTaken => f.write_str("the accept loop takes no new handle of the socket"),
            Self::Ended => f.write_str("it ended by itself"),
            Self::Late => f.write_str("it did not accept in time"),
            Self::LoopGone => f.write_str("the generation is gone"),
            Self::Silent(time) => write!(f, "the accept loop has been silent for {time:?}"),
            Self::NobodyAccepts => f.write_str("connections wait and nobody accepts them"),
            Self::ProbesUnanswered(count) => write!(f, "{count} self-probes in a row went unanswered"),
        }
    }
}

/// The one thing to do about what is seen. What is wrong with the socket comes first: a generation cannot mend that.
pub(super) fn decide(seen: &Observations) -> Decision {
    if seen.coming.is_some() && seen.ended == Some(Ended::Pending) {
        return Decision::GiveUpPending(Cause::Ended);
    }
    if seen.coming.is_some_and(|since| since > GENERATION_LIMIT) {
        return Decision::GiveUpPending(Cause::Late);
    }
    // Nobody has a handle of the socket, and somebody is at it.
    if seen.mending {
        return Decision::Nothing;
    }
    about_the_socket(seen).unwrap_or_else(|| about_the_generation(seen))
}

/// `None`: the socket is sound, as far as known, and its handle is where it belongs.
fn about_the_socket(seen: &Observations) -> Option<Decision> {
    let only_fails = seen.system_is_silent && seen.suspicions > SUSPICIONS;
    match (seen.socket, seen.handle) {
        (Listening::No, _) => Some(Decision::Rebind(Cause::SocketGone)),
        (_, Handle::Refused) => Some(Decision::Rebind(Cause::NoHandle)),
        _ if only_fails => Some(Decision::Rebind(Cause::SocketOnlyFails)),
        (_, Handle::Short) => Some(Decision::CheckAgain(RETRY)),
        (_, Handle::NotTaken) => Some(replace(seen, Decision::Replace(Cause::HandleNotTaken))),
        (_, Handle::Wanted) => Some(Decision::GiveHandle),
        (_, Handle::Fine) => (seen.suspicions > 0).then_some(Decision::GiveHandle),
    }
}

fn about_the_generation(seen: &Observations) -> Decision {
    if seen.ended == Some(Ended::Present) {
        return replace(seen, Decision::Replace(Cause::Ended));
    }
    match seen.pulse {
        Pulse::Gone => return replace(seen, Decision::Replace(Cause::LoopGone)),
        Pulse::Owed(time) if time >= seen.stall => return replace(seen, Decision::Replace(Cause::Silent(time))),
        Pulse::Owed(_) | Pulse::Answered | Pulse::NotAsked => {}
    }
    if seen.waiting.is_some_and(|time| time >= STUCK) {
        return replace(seen, Decision::LetGoAndReplace(Cause::NobodyAccepts));
    }
    match (seen.probe, seen.pulse) {
        (Probe::Missed(count), _) if count >= MISSES => replace(seen, Decision::LetGoAndReplace(Cause::ProbesUnanswered(count))),
        // It should have answered long ago: the limit is kept to the millisecond, not to the next tick.
        (_, Pulse::Owed(time)) if time >= OWED => Decision::CheckAgain(seen.stall - time),
        _ => Decision::Nothing,
    }
}

/// The decision to replace a generation, where that may be now.
fn replace(seen: &Observations, decision: Decision) -> Decision {
    match seen.since_replacement {
        // Its acceptance mends what is wrong, or its limit runs out.
        _ if seen.coming.is_some() => Decision::Nothing,
        Some(since) if since < DISTANCE => Decision::CheckAgain(DISTANCE - since),
        _ => decision,
    }
}
