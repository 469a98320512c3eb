//! What a user who hunted a start-up fault for days suspected, each with its test and the result on this machine. Read from the
//! rows; measures nothing.

use super::{
    check::Check,
    finding::{Row, Verdict},
};
use serde::Serialize;
use serde_json::Value;

/// One suspicion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hypothesis {
    /// What may be the cause.
    pub hypothesis: &'static str,
    /// How it was tested.
    pub test: &'static str,
    /// `ruled-out`, `suspect`, `cause` or `not-known`.
    pub result: &'static str,
    /// What was seen.
    pub seen: String,
    /// The checks behind it.
    pub checks: Vec<Check>,
}

/// One row of the table: what is suspected, how it is tested, and by which checks.
struct Suspicion {
    hypothesis: &'static str,
    test: &'static str,
    checks: &'static [Check],
    /// Which findings of them count.
    counts: fn(&Row) -> bool,
}

const ALL: &[Suspicion] = &[
    Suspicion {
        hypothesis: "A company proxy or TLS inspection",
        test: "proxy settings, a connection through the proxy, the certificate's issuer",
        checks: &[Check::Proxy, Check::Certificate],
        counts: |_| true,
    },
    Suspicion {
        hypothesis: "A network or firewall that drops idle connections",
        test: "a TLS connection held for 60 s without traffic, then used",
        checks: &[Check::Idle],
        counts: |_| true,
    },
    Suspicion {
        hypothesis: "IPv6 that connects and then breaks",
        test: "TCP and TLS to each upstream over each address family",
        checks: &[Check::Reach],
        counts: |_| true,
    },
    Suspicion {
        hypothesis: "Name servers, for example after a change of VPN",
        test: "each upstream's name, timed",
        checks: &[Check::Dns],
        counts: |_| true,
    },
    Suspicion {
        hypothesis: "HTTP/2 connections that the edge ends (GOAWAY)",
        test: "the protocol that was agreed on in the handshake; Leeward offers HTTP/1.1 only",
        checks: &[Check::Reach],
        counts: speaks_http_1,
    },
    Suspicion {
        hypothesis: "Reused connections that were already dead",
        test: "the running Leeward's faults of the last hour, by cause",
        checks: &[Check::Faults],
        counts: |_| true,
    },
    Suspicion {
        hypothesis: "The post-quantum hello, which needs two packets",
        test: "a handshake with and without it to the same address",
        checks: &[Check::KeyShare],
        counts: |_| true,
    },
    Suspicion {
        hypothesis: "The burst of parallel connections when an agent starts",
        test: "ten handshakes at once, direct, with and without the post-quantum share",
        checks: &[Check::BurstDirect],
        counts: |_| true,
    },
    Suspicion {
        hypothesis: "Leeward does not carry that burst",
        test: "ten requests at once through the running Leeward",
        checks: &[Check::BurstLeeward],
        counts: |_| true,
    },
    Suspicion {
        hypothesis: "Endpoint protection or a layered socket provider",
        test: "Windows' catalogue of socket providers",
        checks: &[Check::SocketLayers],
        counts: |_| true,
    },
    Suspicion {
        hypothesis: "A build of the agent that loses connections",
        test: "each installed agent's version against the table of known bad builds",
        checks: &[Check::Agents],
        counts: |row| row.finding.facts.get("known_bad").is_none_or(|bad| !bad.is_null()) || row.finding.verdict == Verdict::Ok,
    },
    Suspicion {
        hypothesis: "An endpoint that leads nowhere",
        test: "each agent's variables and settings files",
        checks: &[Check::Agents],
        counts: |row| row.finding.facts.get("known_bad").is_none_or(Value::is_null),
    },
    Suspicion {
        hypothesis: "The clock",
        test: "this machine's time beside the server's",
        checks: &[Check::Clock],
        counts: |_| true,
    },
    Suspicion {
        hypothesis: "The network itself",
        test: "thirty requests one after another, each on a connection of its own",
        checks: &[Check::Heads],
        counts: |_| true,
    },
];

fn speaks_http_1(row: &Row) -> bool {
    let families = row.finding.facts.get("families").and_then(Value::as_array);
    families.into_iter().flatten().any(|family| family.get("alpn").is_some_and(|alpn| !alpn.is_null()))
}

/// The table for these rows. What was not asked for is left out.
pub(super) fn all(rows: &[Row]) -> Vec<Hypothesis> {
    ALL.iter().filter_map(|suspicion| judge(suspicion, rows)).collect()
}

fn judge(suspicion: &Suspicion, rows: &[Row]) -> Option<Hypothesis> {
    let of_checks: Vec<&Row> = rows.iter().filter(|row| suspicion.checks.contains(&row.check)).collect();
    of_checks.first()?;
    let counted: Vec<&Row> = of_checks.into_iter().filter(|row| (suspicion.counts)(row)).collect();
    // What was measured says more than what could not be.
    let worst = counted.iter().min_by_key(|row| match row.finding.verdict {
        Verdict::Broken => 0,
        Verdict::Warning => 1,
        Verdict::NotKnown(_) => 2,
        Verdict::Ok => 3,
        Verdict::NotRun(_) => 4,
    });
    let (result, seen) = match worst {
        None => ("not-known", "nothing was seen that speaks for or against it".to_owned()),
        Some(_) if suspicion.hypothesis.starts_with("HTTP/2") => ("ruled-out", "HTTP/1.1 was agreed on".to_owned()),
        Some(row) => {
            let result = match row.finding.verdict {
                Verdict::Broken => "cause",
                Verdict::Warning => "suspect",
                Verdict::Ok => "ruled-out",
                Verdict::NotRun(_) | Verdict::NotKnown(_) => "not-known",
            };
            (result, row.finding.verdict.reason().unwrap_or(&row.finding.measured).to_owned())
        }
    };
    let Suspicion { hypothesis, test, checks, .. } = *suspicion;
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
        let result = |hypothesis: &str, rows: &[Row]| {
            all(rows).into_iter().find(|h| h.hypothesis.contains(hypothesis)).map(|h| h.result)
        };
        let rows = [
            row(Check::Proxy, Verdict::Ok, json!({})),
            row(Check::Certificate, Verdict::Warning, json!({})),
            row(Check::Reach, Verdict::Ok, json!({ "families": [{ "alpn": "http/1.1" }] })),
            row(Check::Idle, Verdict::NotRun("only with --long".into()), json!({})),
            row(Check::Agents, Verdict::Broken, json!({ "known_bad": null })),
            row(Check::BurstDirect, Verdict::Warning, json!({})),
            row(Check::BurstLeeward, Verdict::Ok, json!({})),
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
            ("The clock", None),
        ] {
            assert_eq!(result(hypothesis, &rows), want, "{hypothesis}");
        }
        let bad = [row(Check::Agents, Verdict::Warning, json!({ "known_bad": { "from": "1.0.0" } }))];
        assert_eq!(result("build of the agent", &bad), Some("suspect"));
    }
}
