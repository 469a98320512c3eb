//! Holds what the agents saw against what befell their requests. Every sentence it returns is a broken promise.

use crate::{
    agent::{Notes, Saw, Seen},
    ask::{Answers, Kind, What},
    script::{Outlook, outlook},
};
use scripted::{Fault, Record, Request};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// Under which policy the round ran.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// Every repairable failure has to be repaired; else only that nothing runs twice and nobody is lied to.
    pub strict: bool,
    /// Responses are buffered whole.
    pub holds: bool,
    /// Replays of one request.
    pub replays: u32,
    /// Connections in the clear are reset as well, and requests with them that were never read.
    pub unheard: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Verdict {
    pub broken: Vec<String>,
    /// Arrivals that followed another whole arrival of the same request.
    pub repeated: u64,
    /// Requests that a connection took with it which the upstream closed for idleness at the same moment.
    pub crossed: u64,
    /// How the requests ended, by name.
    pub ends: BTreeMap<&'static str, u64>,
}

/// Judges all requests of a round.
pub fn judge(notes: &Notes, records: &[Record], law: Law, answers: &Answers) -> Verdict {
    let mut verdict = Verdict::default();
    let mut arrivals: HashMap<&str, Vec<&Request>> = HashMap::new();
    for request in records.iter().flat_map(|r| &r.requests) {
        match request.head.header("x-soak-id") {
            Some(id) => arrivals.entry(id).or_default().push(request),
            None => verdict.broken.push(format!("nobody asked for {} {}", request.head.method, request.head.target)),
        }
    }
    for (id, seen) in notes {
        let arrived = arrivals.remove(id.as_str()).unwrap_or_default();
        if let Err(why) = one(seen, &arrived, law, answers, &mut verdict) {
            let faults: Vec<_> =
                arrived.iter().map(|r| format!("{:?} (nth {}, body {})", r.fault, r.nth, r.body.complete)).collect();
            let Seen { step, saw, took, attempts, .. } = seen;
            verdict.broken.push(format!(
                "{why}: {id} {:?} padding {} coding {:?} chunked {} retries {} leaves {:?} to upstream {}: saw {saw:?} after {took:?} in {attempts:?} attempts; arrived: {faults:?}",
                step.what, step.padding, step.coding, step.chunked, step.retries, step.leaves, step.upstream,
            ));
        }
    }
    verdict.broken.extend(arrivals.keys().map(|id| format!("nobody knows of {id}")));
    verdict
}

fn one(seen: &Seen, arrived: &[&Request], law: Law, answers: &Answers, verdict: &mut Verdict) -> Result<(), String> {
    let step = &seen.step;
    for request in arrived.iter().filter(|r| r.body.complete) {
        let bodiless = step.what.method() != reqwest::Method::POST;
        if !bodiless && request.body.sha256 != seen.sha256 {
            return Err("the upstream got another body than the agent sent".into());
        }
    }
    let outlooks: Vec<_> = arrived.iter().map(|r| outlook(&r.fault, step, r.nth == 0, law.holds, answers)).collect();
    // Never twice, but for replays.
    let mut replays = 0;
    for (at, outlook) in outlooks.iter().enumerate().take(outlooks.len().saturating_sub(1)) {
        if !outlook.may_go_on() {
            return Err(format!("it was sent again after {outlook:?}"));
        }
        if arrived[at].body.complete || outlook.may_be(Outlook::Replay) && !outlook.may_be(Outlook::Unsent) {
            replays += 1;
            verdict.repeated += 1;
        }
    }
    let whole = arrived.iter().filter(|r| r.body.complete).count();
    if step.what.kind() == Kind::Once && whole > 1 {
        return Err("it arrived whole more than once, and may have an effect".into());
    }
    if replays > law.replays {
        return Err(format!("it was replayed {replays} times"));
    }
    let name = match &seen.saw {
        Saw::Right => "right",
        Saw::Status(_) => "declined",
        Saw::Told(..) => "told",
        Saw::Cut(_) => "cut",
        Saw::Left => "left",
        Saw::Wrong(_) | Saw::Hung => "wrong",
    };
    *verdict.ends.entry(name).or_default() += 1;
    let last = outlooks.last().copied();
    match &seen.saw {
        Saw::Left => Ok(()),
        Saw::Hung => Err("it hung".into()),
        Saw::Wrong(_) => Err("a wrong answer that looks right".into()),
        Saw::Right if last.is_some_and(|o| o.may_be(Outlook::Right)) => Ok(()),
        Saw::Right => Err("an answer that nobody gave".into()),
        Saw::Status(status) if last.is_some_and(|o| o.may_be(Outlook::Status(*status))) => Ok(()),
        Saw::Status(_) => Err("a refusal that nobody gave".into()),
        Saw::Cut(_) if last.is_some_and(|o| o.may_be(Outlook::Cut)) => Ok(()),
        Saw::Cut(_) => Err("cut, where it should not have been".into()),
        Saw::Told(status, _) if !(502..=504).contains(status) => Err("told of what cannot be".into()),
        Saw::Told(..) if last.is_some_and(|o| o.may_be(Outlook::Told)) => Ok(()),
        // Its own patience was over.
        Saw::Told(..) if step.patience().is_some() => Ok(()),
        // On a slow machine a reset comes later than a second after the request: then its fate is unknown (U7), whatever the
        // connection had served, and an agent that retries by itself is told.
        Saw::Told(502, _)
            if step.retries && step.what.kind() == Kind::Inference && seen.took > SOON && is_reset(arrived.last()) =>
        {
            Ok(())
        }
        Saw::Told(..) => told(step.what, arrived, last, replays, law, verdict, step.padding),
    }
}

/// A reset of a used connection within this time leaves hardly a doubt about the request before it (U6).
const SOON: Duration = Duration::from_secs(1);

/// True of a request that was read whole, and whose connection broke before any byte of a response.
fn is_reset(request: Option<&&Request>) -> bool {
    request.is_some_and(|r| {
        let resets =
            matches!(r.fault, Fault::ResetOnReuse | Fault::CloseOnReuse | Fault::ResetBeforeHeaders | Fault::CloseBeforeHeaders);
        resets && r.body.complete
    })
}

/// Whether an agent may be told of a failure that is repairable.
fn told(
    what: What,
    arrived: &[&Request],
    last: Option<Outlook>,
    replays: u32,
    law: Law,
    verdict: &mut Verdict,
    padding: usize,
) -> Result<(), String> {
    let again = what.kind() != Kind::Once && padding < 32 << 20;
    match last {
        Some(outlook) if outlook.may_be(Outlook::Replay) && replays >= law.replays => Ok(()),
        // It crossed the upstream's FIN: nobody may send it again.
        None if !again => {
            verdict.crossed += 1;
            Ok(())
        }
        Some(Outlook::Right) if arrived.iter().all(|r| r.fault == Fault::None) && !law.strict => Err("told of nothing".into()),
        Some(outlook) if !law.strict && outlook.may_go_on() => Ok(()),
        None if !law.strict => Ok(()),
        Some(outlook) if !again && outlook.may_be(Outlook::Unsent) && !law.strict => Ok(()),
        _ => Err("a repairable failure was not repaired".into()),
    }
}
