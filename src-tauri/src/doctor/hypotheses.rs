//! What a user who hunted a start-up fault for days suspected, each with its test and the result on this machine. Read from the
//! rows; measures nothing.

use super::{
    check::Check,
    finding::{Row, Verdict},
};
use crate::status::faults::Cause;
use serde::Serialize;
use serde_json::Value;

/// One suspicion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Hypothesis {
    /// What may be the cause.
    pub hypothesis: &'static str,
    /// How it was tested.
    pub test: &'static str,
    /// `ruled-out`, `suspect`, `cause` or `not-known`.
    #[cfg_attr(test, ts(type = "\"ruled-out\" | \"suspect\" | \"cause\" | \"not-known\""))]
    pub result: &'static str,
    /// What was seen.
    pub seen: String,
    /// The checks behind it.
    #[cfg_attr(test, ts(type = "Array<string>"))]
    pub checks: Vec<Check>,
}

/// One row of the table: what is suspected, how it is tested, by which checks, and what one of their rows says to it.
struct Suspicion {
    hypothesis: &'static str,
    test: &'static str,
    checks: &'static [Check],
    says: fn(&Row) -> Option<Answer>,
}

/// What a row says, the worst first. A row that says nothing rules nothing out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Cause,
    Suspect,
    RuledOut,
}

const ALL: &[Suspicion] = &[
    Suspicion {
        hypothesis: "A company proxy or TLS inspection",
        test: "proxy settings, a connection through the proxy, the certificate's issuer",
        checks: &[Check::Proxy, Check::Certificate],
        says: by_verdict,
    },
    Suspicion {
        hypothesis: "A network or firewall that drops idle connections",
        test: "a connection held for 60 s without traffic, then used",
        checks: &[Check::Idle],
        says: by_verdict,
    },
    Suspicion {
        hypothesis: "IPv6 that connects and then breaks",
        test: "TCP and TLS to each upstream over each address family",
        checks: &[Check::Reach],
        says: by_ipv6,
    },
    Suspicion {
        hypothesis: "Name servers, for example after a change of VPN",
        test: "each upstream's name, timed",
        checks: &[Check::Dns],
        says: by_verdict,
    },
    Suspicion {
        hypothesis: "HTTP/2 connections that the edge ends (GOAWAY)",
        test: "the protocol that was agreed on in the handshake; Leeward offers HTTP/1.1 only",
        checks: &[Check::Reach],
        says: by_protocol,
    },
    Suspicion {
        hypothesis: "Reused connections that were already dead",
        test: "the running Leeward's faults of the last hour, by cause",
        checks: &[Check::Faults],
        says: by_cause,
    },
    Suspicion {
        hypothesis: "The post-quantum hello, which needs two packets",
        test: "a handshake with and without it to the same address",
        checks: &[Check::KeyShare],
        says: by_verdict,
    },
    Suspicion {
        hypothesis: "Packets of full size that vanish (the MTU of a VPN)",
        test: "a classical handshake whose hello is as large as the post-quantum one",
        checks: &[Check::KeyShare],
        says: by_size,
    },
    Suspicion {
        hypothesis: "A proxy script (PAC) that names the only way out",
        test: "the system's proxy settings, and a direct connection",
        checks: &[Check::Pac],
        says: by_verdict,
    },
    Suspicion {
        hypothesis: "The burst of parallel connections when an agent starts",
        test: "ten handshakes at once, direct, with and without the post-quantum share",
        checks: &[Check::BurstDirect],
        says: by_verdict,
    },
    Suspicion {
        hypothesis: "Leeward does not carry that burst",
        test: "ten requests at once through the running Leeward",
        checks: &[Check::BurstLeeward],
        says: by_verdict,
    },
    Suspicion {
        hypothesis: "Endpoint protection or a layered socket provider",
        test: "Windows' catalogue of socket providers",
        checks: &[Check::SocketLayers],
        says: by_verdict,
    },
    Suspicion {
        hypothesis: "Connectors that are not linked",
        test: "what Claude Code remembers of its claude.ai connectors",
        checks: &[Check::Connectors],
        says: by_verdict,
    },
    Suspicion {
        hypothesis: "A build of the agent that loses connections",
        test: "each installed agent's version against the table of known bad builds",
        checks: &[Check::Agents],
        says: by_build,
    },
    Suspicion {
        hypothesis: "An endpoint that leads nowhere",
        test: "each agent's variables and settings files",
        checks: &[Check::Agents],
        says: by_endpoint,
    },
    Suspicion {
        hypothesis: "An IDE that gives its agent another endpoint or proxy",
        test: "the settings of VS Code, its relatives and JetBrains IDEs",
        checks: &[Check::Ide],
        says: by_verdict,
    },
    Suspicion {
        hypothesis: "The clock",
        test: "this machine's time beside the server's",
        checks: &[Check::Clock],
        says: by_verdict,
    },
    Suspicion {
        hypothesis: "The network itself",
        test: "thirty requests one after another, each on a connection of its own",
        checks: &[Check::Heads],
        says: by_verdict,
    },
];

/// Causes that only a connection meets which had served before.
const OF_REUSE: [Cause; 3] = [Cause::StalePooled, Cause::ReusedReset, Cause::LateReset];

fn by_verdict(row: &Row) -> Option<Answer> {
    match row.finding.verdict {
        Verdict::Broken => Some(Answer::Cause),
        Verdict::Warning => Some(Answer::Suspect),
        Verdict::Ok => Some(Answer::RuledOut),
        Verdict::NotRun(_) | Verdict::NotKnown(_) => None,
    }
}

fn families(row: &Row) -> impl Iterator<Item = &Value> {
    row.finding.facts.get("families").and_then(Value::as_array).into_iter().flatten()
}

/// Where nothing connects, IPv6 is not the reason; where all does, it is none either.
fn by_ipv6(row: &Row) -> Option<Answer> {
    let breaks = families(row).any(|family| family["family"] == "ipv6" && family.get("error").is_some());
    match row.finding.verdict {
        Verdict::Warning if breaks => Some(Answer::Suspect),
        Verdict::Ok => Some(Answer::RuledOut),
        _ => None,
    }
}

fn by_size(row: &Row) -> Option<Answer> {
    let facts = &row.finding.facts;
    let is_ok = |hello: &str| facts[hello]["ok"].as_bool();
    match (is_ok("classical_full_size")?, is_ok("classical")?) {
        (true, _) => Some(Answer::RuledOut),
        (false, true) => Some(Answer::Suspect),
        (false, false) => None,
    }
}

fn by_protocol(row: &Row) -> Option<Answer> {
    families(row).any(|family| family["alpn"].is_string()).then_some(Answer::RuledOut)
}

fn by_cause(row: &Row) -> Option<Answer> {
    let facts = &row.finding.facts;
    if facts["requests"].as_u64().unwrap_or_default() == 0 {
        return None;
    }
    let met = |list: &str| OF_REUSE.iter().any(|cause| facts[list][cause.as_str()].is_u64());
    Some(if met("retried_by_cause") || met("failed_by_cause") { Answer::Suspect } else { Answer::RuledOut })
}

fn by_build(row: &Row) -> Option<Answer> {
    let facts = &row.finding.facts;
    facts["version"].as_str()?;
    Some(if facts["known_bad"].is_null() { Answer::RuledOut } else { Answer::Suspect })
}

fn by_endpoint(row: &Row) -> Option<Answer> {
    let facts = &row.finding.facts;
    if facts["endpoints"].as_array()?.iter().any(|endpoint| endpoint["is_dead"] == true) {
        return Some(Answer::Cause);
    }
    facts["unread"].as_array()?.is_empty().then_some(Answer::RuledOut)
}

/// The table for these rows. What was not asked for is left out.
pub(super) fn all(rows: &[Row]) -> Vec<Hypothesis> {
    ALL.iter().filter_map(|suspicion| judge(suspicion, rows)).collect()
}

fn judge(suspicion: &Suspicion, rows: &[Row]) -> Option<Hypothesis> {
    let Suspicion { hypothesis, test, checks, says } = *suspicion;
    let looked: Vec<&Row> = rows.iter().filter(|row| checks.contains(&row.check)).collect();
    let first = *looked.first()?;
    let answers = || looked.iter().filter_map(|row| Some((says(row)?, *row)));
    let is_answered = checks.iter().all(|check| answers().any(|(_, row)| row.check == *check));
    let worst = answers().min_by_key(|(answer, _)| *answer);
    let (result, row) = match worst {
        Some((Answer::Cause, row)) => ("cause", row),
        Some((Answer::Suspect, row)) => ("suspect", row),
        Some((Answer::RuledOut, row)) if is_answered => ("ruled-out", row),
        _ => ("not-known", looked.iter().copied().find(|row| says(row).is_none()).unwrap_or(first)),
    };
    let seen = row.finding.verdict.reason().unwrap_or(&row.finding.measured).to_owned();
    Some(Hypothesis { hypothesis, test, result, seen, checks: checks.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Finding;
    use serde_json::json;
    use std::time::Duration;

    fn row(check: Check, verdict: Verdict, facts: Value) -> Row {
        Row { check, finding: Finding::new(verdict, "seen", facts), took: Duration::ZERO }
    }

    #[test]
    fn each_suspicion_follows_the_worst_that_was_measured() {
        let result =
            |hypothesis: &str, rows: &[Row]| all(rows).into_iter().find(|h| h.hypothesis.contains(hypothesis)).map(|h| h.result);
        let rows = [
            row(Check::Proxy, Verdict::Ok, json!({})),
            row(Check::Certificate, Verdict::Warning, json!({})),
            row(Check::Reach, Verdict::Ok, json!({ "families": [{ "family": "ipv4", "alpn": "http/1.1" }] })),
            row(Check::Idle, Verdict::NotRun("only with --long".into()), json!({})),
            row(Check::Agents, Verdict::Broken, json!({ "version": null, "endpoints": [{ "is_dead": true }], "unread": [] })),
            row(Check::BurstDirect, Verdict::Warning, json!({})),
            row(Check::BurstLeeward, Verdict::Ok, json!({})),
            row(Check::Faults, Verdict::Ok, json!({ "requests": 9, "retried_by_cause": { "reused-reset": 2 } })),
        ];
        for (hypothesis, want) in [
            ("TLS inspection", Some("suspect")),
            ("IPv6", Some("ruled-out")),
            ("HTTP/2", Some("ruled-out")),
            ("idle", Some("not-known")),
            ("leads nowhere", Some("cause")),
            ("build of the agent", Some("not-known")),
            ("The burst", Some("suspect")),
            ("Leeward does not carry", Some("ruled-out")),
            ("Reused", Some("suspect")),
            ("The clock", None),
        ] {
            assert_eq!(result(hypothesis, &rows), want, "{hypothesis}");
        }
        let half = [row(Check::Proxy, Verdict::Ok, json!({})), row(Check::Certificate, Verdict::NotRun("x".into()), json!({}))];
        assert_eq!(result("TLS inspection", &half), Some("not-known"), "half of the test rules nothing out");
        let dead = [row(Check::Reach, Verdict::Broken, json!({ "families": [{ "family": "ipv6", "error": {} }] }))];
        assert_eq!(result("IPv6", &dead), Some("not-known"), "where nothing connects");
        let breaks = [row(Check::Reach, Verdict::Warning, json!({ "families": [{ "family": "ipv6", "error": {} }] }))];
        assert_eq!(result("IPv6", &breaks), Some("suspect"));
        let quiet = [row(Check::Faults, Verdict::Ok, json!({ "requests": 0 }))];
        assert_eq!(result("Reused", &quiet), Some("not-known"));
        let bad = [row(Check::Agents, Verdict::Warning, json!({ "version": "1.0.0", "known_bad": { "from": "1.0.0" } }))];
        assert_eq!(result("build of the agent", &bad), Some("suspect"));
    }
}
