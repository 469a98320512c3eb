//! The first line that people read: the worst fact there is, in their words, and the next step. Pure; design section 11 is its
//! table.

use super::{age, counted, thousands};
use crate::{
    health::{Code, Condition, Severity},
    status::{
        Phase, Status,
        faults::Cause,
        recent::{Headline, HeadlineLevel as Level, Reach, ReachState, Recent},
    },
};

/// A way that is gone for less than this is a blip, where no request has failed for it.
const BLIP_MS: u64 = 2_000;
/// Conditions that say of an upstream what its reach says better.
const OF_UPSTREAMS: [Code; 3] = [Code::UpstreamUnreachable, Code::CertificateUntrusted, Code::CompanyProxy];

/// The first line of a status. `now_unix_ms` is the present, in milliseconds since 1970.
pub fn headline(status: &Status, now_unix_ms: u64) -> Headline {
    let worst = status.conditions.iter().max_by_key(|c| c.severity);
    match (&status.phase, worst) {
        (Phase::Starting, _) => line(Level::Degraded, "Starting", ""),
        (Phase::Stopped, _) => match status.failure() {
            Some(why) => of_sentence(Level::Broken, why),
            None => line(Level::Broken, "Stopped", "Start Leeward again"),
        },
        (Phase::Draining, _) => line(Level::Broken, "Ending: requests in flight finish", ""),
        (Phase::Serving | Phase::Restarting, Some(condition)) if !status.listener.accepting => {
            of_sentence(Level::Broken, &condition.sentence)
        }
        (Phase::Serving | Phase::Restarting, None) if !status.listener.accepting => {
            line(Level::Broken, format!("Not accepting on {}", status.listener.address), "Restart Leeward; see the log")
        }
        (Phase::Serving | Phase::Restarting, _) => {
            // The first one of the worst: what stops agents goes before what the machine is like.
            let facts = unreachable(status, now_unix_ms).into_iter().chain(failing(&status.recent)).chain(conditions(status));
            let facts: Vec<_> = facts.collect();
            let worst = facts.iter().map(|fact| fact.level).max();
            facts.into_iter().find(|fact| Some(fact.level) == worst).unwrap_or_else(|| well(status, now_unix_ms))
        }
    }
}

fn line(level: Level, sentence: impl Into<String>, next: impl Into<String>) -> Headline {
    Headline { level, sentence: sentence.into(), next: next.into() }
}

/// A sentence of several parts: the first says what is the matter, the rest what to do.
fn of_sentence(level: Level, sentence: &str) -> Headline {
    let end = [". ", "? ", "; "].iter().find_map(|end| sentence.find(end)).unwrap_or(sentence.len());
    let (first, rest) = sentence.split_at(end);
    let (question, rest) = rest.strip_prefix('?').map_or(("", rest), |rest| ("?", rest));
    let rest = rest.trim_start_matches(['.', ';']).trim();
    line(level, capital(first.trim_end_matches('.')) + question, capital(rest.trim_end_matches('.')))
}

/// The default upstream, while there is no way to it. It stops agents where any of them waits or has failed.
fn unreachable(status: &Status, now_unix_ms: u64) -> Option<Headline> {
    let (reach, recent) = (&status.reach, &status.recent);
    if reach.state != ReachState::Failing {
        return None;
    }
    let lasted = now_unix_ms.saturating_sub(reach.failing_since_unix_ms.unwrap_or(now_unix_ms));
    let hurts = recent.waiting > 0 || recent.failed > 0;
    if lasted < BLIP_MS && recent.failed == 0 {
        return None;
    }
    let mut sentence = capital(reach.says.as_deref()?);
    if recent.waiting > 0 {
        sentence.push_str(&format!(", {} waiting", counted(recent.waiting, "request", "requests")));
    }
    if lasted >= 1_000 {
        sentence.push_str(&format!(", for {}", age(lasted)));
    }
    let by_itself = if reach.reason.is_some() { "; Leeward retries by itself" } else { "" };
    let next = format!("{}{by_itself}", reach.next.as_deref().unwrap_or_default());
    Some(line(if hurts { Level::Broken } else { Level::Degraded }, sentence, next))
}

/// Requests that failed, where they are more than two of a hundred.
fn failing(recent: &Recent) -> Option<Headline> {
    let Recent { window_s, requests, failed, failed_in_a_row, causes, .. } = recent;
    if failed.saturating_mul(50) <= *requests {
        return None;
    }
    // One that ends well says that agents can work.
    let level = if *failed_in_a_row >= 2 && failed.saturating_mul(2) >= *requests { Level::Broken } else { Level::Degraded };
    let worst = causes.iter().max_by_key(|(_, count)| **count).map(|(name, _)| name.as_str());
    let (why, next) = cause(worst);
    let of = format!("{} of {} failed in {} min", thousands(*failed), counted(*requests, "request", "requests"), window_s / 60);
    Some(line(level, format!("{of}: {why}"), next))
}

/// What failed requests have in common, by the name of their cause, and what to do.
fn cause(name: Option<&str>) -> (&'static str, &'static str) {
    const DOCTOR: &str = "More: leeward doctor";
    const NETWORK: &str = "Check network or VPN";
    match Cause::ALL.iter().find(|cause| Some(cause.as_str()) == name) {
        Some(Cause::Dns) => ("DNS fails", "Check network, VPN or DNS"),
        Some(Cause::Connect | Cause::CircuitOpen) => ("there was no connection to the API", NETWORK),
        Some(Cause::Tls) => ("the TLS handshake breaks", NETWORK),
        Some(Cause::Certificate) => ("the API's certificate is not trusted", "If your company inspects TLS, set extra_ca"),
        Some(Cause::Clock) => ("the API's certificate is out of its time, by this clock", "Set the clock"),
        Some(Cause::NotTls) => ("there is no TLS where https:// leads", "Check the URL of the upstream"),
        Some(Cause::StalePooled | Cause::WriteFailed | Cause::ReusedReset | Cause::FreshReset | Cause::LateReset) => {
            ("the API's edge resets connections", DOCTOR)
        }
        Some(Cause::ResponseTimeout) => ("the API does not answer in time", DOCTOR),
        Some(Cause::BadResponse | Cause::NotHttp) => ("what answers speaks no valid HTTP", "Check the URL of the upstream"),
        Some(Cause::CutMidStream) => ("the API's edge breaks off responses", "Set stream.mode = \"hold\", which repairs that"),
        Some(Cause::CutBeforeContent | Cause::CutWhileBuffered) => ("the API's edge breaks off responses", DOCTOR),
        Some(Cause::Loop) => ("the upstream is Leeward itself", "Set upstream to the API's URL"),
        Some(Cause::CompanyProxy) => ("the company proxy makes no connection", "Check proxy.url"),
        Some(Cause::ProxyLogin) => ("the company proxy wants user and password", "Put them into proxy.url"),
        Some(Cause::WriteStalled) => ("the network takes no data", "Check the VPN: a smaller MTU may help"),
        Some(Cause::Declined) => ("the API cannot answer for now", DOCTOR),
        Some(Cause::PoolFull) => ("all connections are in use (pool.size)", "Raise pool.size"),
        None => ("responses broke off", DOCTOR),
    }
}

/// What else is wrong, the worst first; what the reach of the default upstream says is said once.
fn conditions(status: &Status) -> Vec<Headline> {
    let Reach { name, state, .. } = &status.reach;
    let said = |condition: &&Condition| {
        let same = condition.subject.as_deref().is_some_and(|subject| name.starts_with(subject) || name.contains(subject));
        *state == ReachState::Failing && same && OF_UPSTREAMS.contains(&condition.code)
    };
    let shown = status.conditions.iter().filter(|condition| !said(condition));
    shown
        .map(|condition| {
            let level = if condition.severity == Severity::Broken { Level::Broken } else { Level::Degraded };
            of_sentence(level, &condition.sentence)
        })
        .collect()
}

/// Nothing is known to be wrong: whom it serves, and when the upstream was last reached.
fn well(status: &Status, now_unix_ms: u64) -> Headline {
    let agents = status.sessions.len();
    let mut sentence = match agents {
        0 => format!("Ready on {}", status.listener.address),
        n => format!("Protecting {}", counted(u64::try_from(n).unwrap_or(u64::MAX), "agent", "agents")),
    };
    if status.phase == Phase::Restarting {
        sentence.push_str(", restarting");
    }
    let Reach { name, reached_unix_ms, .. } = &status.reach;
    match reached_unix_ms {
        _ if name.is_empty() => {}
        Some(at) => sentence.push_str(&format!("; {name} reached {} ago", age(now_unix_ms.saturating_sub(*at)))),
        None => sentence.push_str(&format!("; {name} not tried yet")),
    }
    line(Level::Ok, sentence, "")
}

/// A clause as a sentence of its own. Names of hosts stay as they are written.
pub(super) fn capital(clause: &str) -> String {
    let word = clause.split([' ', ',']).next().unwrap_or_default();
    if !word.chars().all(|c| c.is_alphabetic() || matches!(c, '\'' | '’')) {
        return clause.to_owned();
    }
    let mut letters = clause.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
