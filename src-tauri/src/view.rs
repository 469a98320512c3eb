//! `Status` in words: the verdict, the lines of `leeward status`, the tray's tooltip. Values only; whoever shows them
//! chooses colours and layout. Sees status and health, nothing else.

pub mod menu;
pub mod notice;

use crate::{
    health::{Condition, Severity},
    status::{Phase, Probe, Status, faults::Whose},
};

/// How well it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// All is well.
    Ok,
    /// It works, and the user should know something.
    Degraded,
    /// Agents cannot work.
    Broken,
}

/// One sentence about the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How well it is.
    pub level: Level,
    /// Without a full stop.
    pub sentence: String,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about, one word.
    pub label: &'static str,
    /// What is to be said.
    pub text: String,
    /// How well this part is.
    pub level: Level,
}

/// Requests and faults from the engine's traffic: since it started, and today.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Requests in all.
    pub requests: u64,
    /// Attempts that Leeward retried.
    pub retried: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Attempts of the present day that Leeward retried.
    pub retried_today: u64,
}

/// The whole in one sentence.
pub fn verdict(status: &Status) -> Verdict {
    let address = &status.listener.address;
    let worst = status.conditions.iter().max_by_key(|c| c.severity);
    let (level, sentence) = match (&status.phase, worst) {
        (Phase::Starting, _) => (Level::Degraded, "starting".to_owned()),
        (Phase::Stopped, _) => (Level::Broken, status.failure().map_or("stopped", fragment).to_owned()),
        (Phase::Draining, _) => (Level::Broken, "ending: no longer accepting, requests in flight finish".to_owned()),
        (Phase::Serving | Phase::Restarting, _) if !status.listener.accepting => match worst {
            Some(condition) => (Level::Broken, format!("not accepting: {}", fragment(&condition.sentence))),
            None => (Level::Broken, "not accepting".to_owned()),
        },
        (Phase::Serving | Phase::Restarting, Some(condition)) => {
            let level = if condition.severity == Severity::Broken { Level::Broken } else { Level::Degraded };
            (level, format!("accepting on {address}, but {}", fragment(&condition.sentence)))
        }
        (Phase::Restarting, None) => (Level::Ok, format!("accepting on {address}, restarting")),
        (Phase::Serving, None) => (Level::Ok, format!("accepting on {address}, all is well")),
    };
    Verdict { level, sentence }
}

/// The lines of `leeward status`. `now_unix_ms` is the present, in milliseconds since 1970.
pub fn lines(status: &Status, faults: Option<Faults>, now_unix_ms: u64) -> Vec<Line> {
    let ok = |label, text| Line { label, text, level: Level::Ok };
    let since = |then: u64| age(now_unix_ms.saturating_sub(then));
    let listener = &status.listener;
    let mut lines = vec![Line {
        label: "listener",
        text: listener_text(status),
        level: if listener.accepting { Level::Ok } else { Level::Broken },
    }];
    if let Some(error) = &listener.last_accept_error {
        lines.push(ok("survived", format!("{error} (the last accept error; it cost one connection at most)")));
    }
    lines.push(
        status.probe.as_ref().map_or_else(|| ok("checked", "not yet".into()), |probe| checked(probe, &since(probe.at_unix_ms))),
    );
    lines.push(ok(
        "process",
        format!(
            "pid {}, version {}, up {}, generation {}",
            status.pid,
            status.version,
            since(status.started_unix_ms),
            status.generation
        ),
    ));
    lines.push(ok("upstream", status.upstream.clone()));
    if let Some(faults) = faults {
        lines.push(ok("traffic", traffic_text(faults)));
    }
    for session in &status.sessions {
        lines.push(ok(
            "session",
            format!(
                "{} ({}; pid {}, for {})",
                session.agent,
                session.covers.sentence(),
                session.pid,
                since(session.since_unix_ms)
            ),
        ));
    }
    lines.extend(status.conditions.iter().map(|condition| condition_line(condition, &since(condition.since_unix_ms))));
    lines
}

/// What the tray says when pointed at: the truth and its age.
pub fn tooltip(status: &Status, faults: Faults, now_unix_ms: u64) -> String {
    let mut parts = vec![verdict(status).sentence];
    if faults.retried_today > 0 {
        parts.push(format!("{} retried today", counted(faults.retried_today, "attempt", "attempts")));
    }
    if let Some(probe) = &status.probe {
        parts.push(format!("checked {} ago", age(now_unix_ms.saturating_sub(probe.at_unix_ms))));
    }
    parts.join(" - ")
}

/// What became of faults: "12 attempts retried (9 requests rescued), 1 request failed (API edge)". `whose` has the names
/// and counts of those with which a request failed. A request is rescued when it met faults and succeeded.
pub fn faults_sentence(retried: u64, rescued: u64, whose: &[(&str, u64)]) -> String {
    let mut failed: Vec<_> = whose.iter().filter(|(_, count)| *count > 0).collect();
    failed.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let rescues = if retried > 0 { format!(" ({} rescued)", counted(rescued, "request", "requests")) } else { String::new() };
    let retried = format!("{} retried{rescues}", counted(retried, "attempt", "attempts"));
    match failed.as_slice() {
        [] => format!("{retried}, no request failed"),
        [(name, count)] => format!("{retried}, {} failed ({})", counted(*count, "request", "requests"), whose_words(name)),
        several => {
            let sum = several.iter().map(|(_, count)| count).sum();
            let parts: Vec<_> = several.iter().map(|(name, n)| format!("{} {}", thousands(*n), whose_words(name))).collect();
            format!("{retried}, {} failed ({})", counted(sum, "request", "requests"), parts.join(", "))
        }
    }
}

/// The stable name of whoever has to look at a fault, in words; a name of a newer version as it is.
fn whose_words(name: &str) -> &str {
    match Whose::ALL.iter().find(|w| w.as_str() == name) {
        Some(Whose::Agent) => "the agent",
        Some(Whose::Leeward) => "Leeward",
        Some(Whose::Network) => "this machine's network",
        Some(Whose::CompanyProxy) => "company proxy or TLS inspection",
        Some(Whose::Edge) => "API edge",
        Some(Whose::Api) => "API",
        None => name,
    }
}

fn checked(probe: &Probe, age: &str) -> Line {
    let (mut text, mut level) = match probe {
        Probe { ok: true, took_us, .. } => {
            (format!("{age} ago over the real port, response in {:.1} ms", micros_as_ms(*took_us)), Level::Ok)
        }
        Probe { misses, .. } => {
            let level = if *misses > 1 { Level::Broken } else { Level::Degraded };
            (format!("{age} ago over the real port, no response ({misses} in a row)"), level)
        }
    };
    if probe.unasked > 0 {
        text.push_str(&format!("; {} since could not be made", counted(probe.unasked.into(), "check", "checks")));
        level = level.max(Level::Degraded);
    }
    Line { label: "checked", text, level }
}

fn listener_text(status: &Status) -> String {
    let listener = &status.listener;
    let accepting = if listener.accepting { "accepting" } else { "not accepting" };
    let mut text = format!(
        "{} {accepting}, {} so far, {} open",
        if listener.address.is_empty() { "no address," } else { &listener.address },
        counted(listener.accepted, "connection", "connections"),
        thousands(listener.connections)
    );
    for (count, one, many) in [
        (listener.accept_errors, "accept error survived", "accept errors survived"),
        (listener.rebinds, "time bound again", "times bound again"),
        (listener.over_cap, "connection over the limit", "connections over the limit"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {}", counted(count, one, many)));
        }
    }
    text
}

fn traffic_text(faults: Faults) -> String {
    let mut text = format!(
        "{}, {} failed, {} retried",
        counted(faults.requests, "request", "requests"),
        thousands(faults.failed),
        counted(faults.retried, "attempt", "attempts")
    );
    if faults.retried_today != faults.retried {
        text.push_str(&format!(" since it started, {} retried today", thousands(faults.retried_today)));
    }
    text
}

fn condition_line(condition: &Condition, age: &str) -> Line {
    let subject = condition.subject.as_ref().map(|s| format!(" ({s})")).unwrap_or_default();
    let (label, level) = match condition.severity {
        Severity::Degraded => ("degraded", Level::Degraded),
        Severity::Broken => ("broken", Level::Broken),
    };
    Line { label, text: format!("{}{subject}, for {age}: {}", condition.code.as_str(), condition.sentence), level }
}

/// A sentence as the second half of another one.
fn fragment(sentence: &str) -> &str {
    sentence.trim_end_matches('.')
}

fn micros_as_ms(us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64() * 1000.0
}

/// "1 fault", "1,200 faults".
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count), if count == 1 { one } else { many })
}

/// 1234567 as "1,234,567".
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in milliseconds as its two largest units: "3 s", "5 min", "2 h 10 min", "4 d 1 h".
pub fn age(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, 0) => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, 0, _) => format!("{days} d"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests;
