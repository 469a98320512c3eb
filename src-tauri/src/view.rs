//! `Status` in words: the verdict, the lines of `leeward status`, the tray's tooltip. Values only; whoever shows them
//! chooses colours and layout. Sees status and health, nothing else.

mod headline;
pub mod menu;
pub mod notice;

pub use crate::status::recent::{Headline, HeadlineLevel as Level};
pub use headline::headline;

use crate::{
    health::{Condition, Severity},
    status::{
        Probe, Status,
        doors::Doors,
        faults::Whose,
        recent::{Reach, ReachState},
        tunnels::TunnelCounts,
        websockets::WebSocketCounts,
    },
};

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

/// The lines of `leeward status`. `now_unix_ms` is the present, in milliseconds since 1970.
pub fn lines(status: &Status, now_unix_ms: u64) -> Vec<Line> {
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
    lines.push(upstream_line(status, now_unix_ms));
    lines.push(recent_line(status));
    lines.push(Line { label: "today", text: today_text(status), level: Level::Ok });
    lines.extend(doors_text(&status.doors).map(|text| ok("doors", text)));
    lines.extend(tunnels_text(&status.tunnels).map(|text| ok("tunnels", text)));
    let WebSocketCounts { open, opened } = status.websockets;
    if opened > 0 {
        lines.push(ok("sockets", format!("{} open, {} opened", counted(open, "WebSocket", "WebSockets"), thousands(opened))));
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

/// Through which door requests came since the start, where any came.
fn doors_text(doors: &Doors) -> Option<String> {
    let Doors { base_url, tunnel, intercept, local } = *doors;
    let parts: Vec<_> = [
        (base_url, "by base URL"),
        (tunnel, "by tunnel"),
        (intercept, "decrypted"),
        (local, "for the list of connectors answered by Leeward"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, how)| format!("{} {how}", thousands(count)))
    .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Tunnels in one line, where there were any.
fn tunnels_text(tunnels: &TunnelCounts) -> Option<String> {
    let TunnelCounts { open, opened, rescued, failed } = *tunnels;
    if opened == 0 && failed == 0 {
        return None;
    }
    let rescued = if rescued > 0 { format!(", {} rescued by a new connection", thousands(rescued)) } else { String::new() };
    Some(format!("{} open, {} opened{rescued}, {} failed", thousands(open), thousands(opened), thousands(failed)))
}

/// What the tray says when pointed at: what is the matter and what to do; else what Leeward did, and how old that is.
pub fn tooltip(status: &Status, now_unix_ms: u64) -> String {
    let Headline { level, sentence, next } = headline(status, now_unix_ms);
    let mut parts = vec![joined(&sentence, &next)];
    parts.extend(today_words(status));
    if let (Level::Ok, Some(probe)) = (level, &status.probe) {
        parts.push(format!("checked {} ago", age(now_unix_ms.saturating_sub(probe.at_unix_ms))));
    }
    parts.join(" - ")
}

/// What is the matter and what to do, in one line without a full stop at its end.
pub(crate) fn joined(sentence: &str, next: &str) -> String {
    match next {
        "" => sentence.to_owned(),
        _ if sentence.ends_with('?') => format!("{sentence} {next}"),
        _ => format!("{sentence}. {next}"),
    }
}

/// "9 rescued, 1 failed today"; nothing where nothing was the matter.
pub(crate) fn today_words(status: &Status) -> Option<String> {
    let today = &status.today;
    (today.rescued + today.failed > 0)
        .then(|| format!("{} rescued, {} failed today", thousands(today.rescued), thousands(today.failed)))
}

/// What became of requests that met faults: "9 requests rescued, 1 failed (API edge); 12 attempts retried". `whose` has the
/// names and counts of the faults with which a request failed. A request is rescued when it met a fault and ended well.
pub fn faults_sentence(rescued: u64, failed: u64, retried: u64, whose: &[(&str, u64)]) -> String {
    let mut known: Vec<_> = whose.iter().filter(|(_, count)| *count > 0).collect();
    known.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let whose = match known.as_slice() {
        [] => String::new(),
        [(name, _)] => format!(" ({})", whose_words(name)),
        several => {
            let parts: Vec<_> = several.iter().map(|(name, n)| format!("{} {}", thousands(*n), whose_words(name))).collect();
            format!(" ({})", parts.join(", "))
        }
    };
    let failed = if failed == 0 { "none failed".to_owned() } else { format!("{} failed{whose}", thousands(failed)) };
    format!("{} rescued, {failed}; {} retried", counted(rescued, "request", "requests"), counted(retried, "attempt", "attempts"))
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
    if !listener.also.is_empty() {
        text.push_str(&format!(", also {} for agents that know it", listener.also.join(" and ")));
    }
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

fn upstream_line(status: &Status, now_unix_ms: u64) -> Line {
    let ago = |then: u64| age(now_unix_ms.saturating_sub(then));
    let Reach { state, reached_unix_ms, failing_since_unix_ms, says, .. } = &status.reach;
    let (level, how) = match (state, reached_unix_ms, says) {
        (ReachState::Failing, _, Some(says)) => {
            let since = failing_since_unix_ms.map_or_else(String::new, |since| format!(", for {}", ago(since)));
            (Level::Degraded, format!("{says}{since}"))
        }
        (ReachState::Reached, Some(at), _) => (Level::Ok, format!("reached {} ago", ago(*at))),
        _ => (Level::Ok, "not tried yet".to_owned()),
    };
    Line { label: "upstream", text: format!("{}: {how}", status.upstream), level }
}

fn recent_line(status: &Status) -> Line {
    let recent = &status.recent;
    let text = format!(
        "{} in {} min, {} rescued, {} failed; {} waiting now",
        counted(recent.requests, "request", "requests"),
        recent.window_s / 60,
        thousands(recent.rescued),
        thousands(recent.failed),
        thousands(recent.waiting)
    );
    Line { label: "recent", text, level: if recent.failed > 0 { Level::Degraded } else { Level::Ok } }
}

fn today_text(status: &Status) -> String {
    let today = &status.today;
    format!(
        "{}, {} rescued, {} failed; {} retried",
        counted(today.requests, "request", "requests"),
        thousands(today.rescued),
        thousands(today.failed),
        counted(today.retried, "attempt", "attempts")
    )
}

fn condition_line(condition: &Condition, age: &str) -> Line {
    let subject = condition.subject.as_ref().map(|s| format!(" ({s})")).unwrap_or_default();
    let (label, level) = match condition.severity {
        Severity::Degraded => ("degraded", Level::Degraded),
        Severity::Broken => ("broken", Level::Broken),
    };
    Line { label, text: format!("{}{subject}, for {age}: {}", condition.code.as_str(), condition.sentence), level }
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
