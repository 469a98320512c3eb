//! Checks that ask files and the running engine: who serves here, the config, the faults of the last hour.

use super::{
    context::{Context, PortHolder, Serving},
    finding::{Finding, Verdict},
};
use crate::{
    health::unix_ms,
    instance::{self, ClientError},
    status::history::{PERIOD_MS, Span},
};
use serde_json::{Value, json};
use std::time::Duration;

/// What the engine is asked about.
const LATELY: Duration = Duration::from_secs(60 * 60);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A start of it is not yet written down one by one.
const FAULTS: usize = 200;

pub(super) fn instance(context: &Context) -> Finding {
    let Some(config) = &context.config else {
        return Finding::not_known("the config is invalid, so it is not known where a Leeward would be");
    };
    let wanted = instance::reachable(config.listen);
    let own = env!("CARGO_PKG_VERSION");
    match &context.serving {
        Serving::Unanswered => Finding::not_known("this machine did not say in time who serves here"),
        Serving::NotAsked => Finding::not_known("there is no config to find it by"),
        Serving::Unusable(e) => {
            let (kind, advice) = match e {
                ClientError::Stranger { .. } => ("stranger", "end that program or choose another `listen`, then start Leeward"),
                ClientError::Broken { .. } => ("no-answer", "end that process and start Leeward again"),
                ClientError::Token(_) => ("token-unusable", "restart Leeward: it makes a new token"),
                ClientError::NotRunning(_) | ClientError::Refused { .. } => ("refused", "restart Leeward"),
            };
            let facts = json!({ "running": false, "code": kind, "version": own, "listen": wanted });
            Finding::new(Verdict::Broken, sentence(&e.to_string()), facts).advise(advice)
        }
        Serving::Nobody { left, port } => {
            let facts = json!({
                "running": false,
                "version": own,
                "listen": wanted,
                "left_record": left.as_ref().map(|r| json!({ "pid": r.pid, "address": r.address, "version": r.version })),
                "port": match port {
                    PortHolder::Nobody => json!({ "held": false }),
                    PortHolder::Somebody(holder) => json!({ "held": true, "pid": holder.pid, "program": holder.program }),
                    PortHolder::Unknown(why) => json!({ "unknown": why }),
                },
            });
            match port {
                PortHolder::Somebody(holder) => Finding::new(
                    Verdict::Broken,
                    format!("No Leeward serves from this state folder, and {holder} has its port, {wanted}."),
                    facts,
                )
                .advise("end that program, or set another `listen` in the config"),
                PortHolder::Nobody | PortHolder::Unknown(_) => {
                    let was = left.as_ref().map_or_else(String::new, |r| {
                        format!(" The last one (pid {}, {}) left its record, so it did not end properly.", r.pid, r.address)
                    });
                    let measured = format!("No Leeward is running; agents that point at {wanted} are refused.{was}");
                    Finding::new(Verdict::Warning, measured, facts)
                        .advise("start it: `leeward wrap AGENT`, `leeward serve` or the tray")
                }
            }
        }
        Serving::Ours { client, status, .. } => {
            let address = client.address();
            let status = match status {
                Ok(status) => status,
                Err(why) => return Finding::not_known(format!("Leeward on {address} could not be asked: {why}")),
            };
            ours(status, address, wanted, own)
        }
    }
}

fn ours(status: &Value, address: std::net::SocketAddr, wanted: std::net::SocketAddr, own: &str) -> Finding {
    let conditions = status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let version = text(status, "version");
    let severities: Vec<String> = conditions.iter().map(|condition| text(condition, "severity")).collect();
    let facts = json!({
        "running": true,
        "version": own,
        "running_version": version,
        "pid": status.get("pid"),
        "address": address,
        "listen": wanted,
        "generation": status.get("generation"),
        "accepting": status.pointer("/listener/accepting"),
        "conditions": conditions,
    });
    let sentences: Vec<String> = conditions.iter().map(|condition| text(condition, "sentence")).collect();
    let is_accepting = status.pointer("/listener/accepting").and_then(Value::as_bool) == Some(true);
    let said = format!("Leeward {version} serves on {address}, proved by its token.");
    if !is_accepting || severities.iter().any(|severity| severity == "broken") {
        let what = if sentences.is_empty() { "It accepts no connections now.".to_owned() } else { sentences.join(" ") };
        return Finding::new(Verdict::Broken, format!("{said} {what}"), facts);
    }
    if !sentences.is_empty() {
        return Finding::new(Verdict::Warning, format!("{said} {}", sentences.join(" ")), facts);
    }
    if version != own {
        return Finding::new(Verdict::Warning, format!("{said} This program is version {own}."), facts)
            .advise("restart Leeward, so that both are the same version");
    }
    if wanted.port() != 0 && address != wanted {
        let measured = format!("{said} The config names {wanted}: agents that point there do not reach it.");
        return Finding::new(Verdict::Warning, measured, facts)
            .advise(format!("end what has {wanted} and start Leeward again, or set `listen` to {address}"));
    }
    Finding::new(Verdict::Ok, said, facts)
}

pub(super) fn config(context: &Context) -> Vec<Finding> {
    let file = context.paths.as_ref().map(|paths| paths.config_file.clone());
    let exists = file.as_ref().is_some_and(|file| file.exists());
    let facts = json!({ "file": file, "exists": exists, "errors": context.complaints });
    if let Some(first) = context.complaints.first() {
        let more = match context.complaints.len() {
            1 => String::new(),
            n => format!(" And {} more.", n - 1),
        };
        let running = if matches!(context.serving, Serving::Ours { .. }) {
            " The running Leeward goes on with the last config that was good."
        } else {
            ""
        };
        let finding = Finding::new(Verdict::Broken, format!("{}{more}{running}", sentence(first)), facts);
        return vec![finding.advise("mend what is named; `leeward config check` looks again")];
    }
    if context.is_invalid {
        return vec![Finding::not_known("the config could not be read")];
    }
    if let Some(told) = context.config.as_ref().and_then(crate::config::exposed) {
        return vec![Finding::new(Verdict::Warning, told, facts)];
    }
    let measured = if exists { "The config file is valid." } else { "There is no config file; the defaults are in force." };
    vec![Finding::new(Verdict::Ok, measured, facts)]
}

/// Asks the engine, which knows whose fault each one was.
pub(super) async fn faults(context: &Context) -> Finding {
    let Serving::Ours { client, .. } = &context.serving else {
        return Finding::not_run(context.serving.why_not());
    };
    let Span { since_unix_ms, until_unix_ms, .. } = Span::last(LATELY, unix_ms());
    let query = format!("since={since_unix_ms}&until={until_unix_ms}&step={PERIOD_MS}ms&limit={FAULTS}");
    let history = match client.get(&format!("/_leeward/v1/history?{query}"), ANSWER_WITHIN).await {
        Ok(history) => history,
        Err(e) => return Finding::not_known(format!("the history could not be asked for: {e}")),
    };
    judge_faults(&history)
}

fn judge_faults(history: &Value) -> Finding {
    let number = |name: &str| history.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (requests, retried, failed) = (number("requests"), number("retried_total"), number("failed_total"));
    let counts = |name: &str| -> Vec<(String, u64)> {
        let map = history.get(name).and_then(Value::as_object).into_iter().flatten();
        let mut counts: Vec<_> = map.map(|(k, n)| (k.clone(), n.as_u64().unwrap_or_default())).filter(|(_, n)| *n > 0).collect();
        counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        counts
    };
    let whose = counts("whose");
    let as_object = |counts: Vec<(String, u64)>| Value::Object(counts.into_iter().map(|(k, n)| (k, n.into())).collect());
    let facts = json!({
        "minutes": LATELY.as_secs() / 60,
        "requests": requests,
        "retried": retried,
        "failed": failed,
        "whose": as_object(whose.clone()),
        "retried_by_cause": as_object(counts("retried")),
        "failed_by_cause": as_object(counts("failed")),
    });
    let said = format!("{requests} requests, {retried} faults repaired, {failed} reported to agents.");
    if failed == 0 {
        return Finding::new(Verdict::Ok, said, facts);
    }
    let list = whose.iter().map(|(who, n)| format!("{who} {n}")).collect::<Vec<_>>().join(", ");
    let verdict = if whose.iter().any(|(who, _)| who == "leeward") { Verdict::Broken } else { Verdict::Warning };
    Finding::new(verdict, format!("{said} Whose fault the reported ones were: {list}."), facts)
        .advise("`leeward stats --since 1h` lists them one by one")
}

/// Another room's clause as a sentence.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    let end = if clause.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_judged_by_whose_they_were() {
        let history =
            |whose: Value, failed: u64| json!({ "requests": 9, "retried_total": 2, "failed_total": failed, "whose": whose });
        for (whose, failed, verdict, word) in [
            (json!({ "network": 0, "leeward": 0 }), 0, Verdict::Ok, "2 faults repaired"),
            (json!({ "network": 3, "leeward": 0 }), 3, Verdict::Warning, "network 3"),
            (json!({ "network": 1, "leeward": 2 }), 3, Verdict::Broken, "leeward 2, network 1"),
        ] {
            let finding = judge_faults(&history(whose, failed));
            assert!(finding.verdict == verdict && finding.measured.contains(word), "{finding:?}");
        }
    }

    #[test]
    fn an_instance_is_judged_by_what_it_says() {
        let status = |accepting: bool, version: &str, severity: Option<&str>| {
            let conditions = severity.map(|s| json!({ "severity": s, "sentence": "Something is wrong." }));
            json!({ "version": version, "listener": { "accepting": accepting }, "conditions": Vec::from_iter(conditions) })
        };
        let (here, there) = ("127.0.0.1:8787".parse().unwrap(), "127.0.0.1:8788".parse().unwrap());
        for (status, address, verdict, word) in [
            (status(true, "1", None), here, Verdict::Ok, "proved by its token"),
            (status(true, "0", None), here, Verdict::Warning, "This program is version 1"),
            (status(true, "1", None), there, Verdict::Warning, "The config names 127.0.0.1:8787"),
            (status(true, "1", Some("degraded")), here, Verdict::Warning, "Something is wrong"),
            (status(true, "1", Some("broken")), here, Verdict::Broken, "Something is wrong"),
            (status(false, "1", None), here, Verdict::Broken, "accepts no connections"),
        ] {
            let finding = ours(&status, address, here, "1");
            assert!(finding.verdict == verdict && finding.measured.contains(word), "{finding:?}");
        }
    }
}
