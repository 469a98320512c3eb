//! All rows together: what stands first, and the verdict, from which the exit code follows. Data only.

use super::{
    finding::{Row, Verdict},
    hypotheses::Hypothesis,
};
use serde::Serialize;
use std::time::Duration;

/// The number of the JSON's form; it changes when a field is removed or means something else.
const SCHEMA: u32 = 1;

/// What was found on this machine.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "DoctorReport"))]
pub struct Report {
    /// The form of this JSON.
    pub schema: u32,
    /// Of the program that examined.
    pub version: &'static str,
    /// The system, as Rust calls it.
    pub system: &'static str,
    /// The processor, as Rust calls it.
    pub processor: &'static str,
    /// `ok`, `warning` or `broken`: the worst that was measured.
    #[cfg_attr(test, ts(type = "\"ok\" | \"warning\" | \"broken\""))]
    pub verdict: &'static str,
    /// When it ended, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// How long all of it took.
    pub took_ms: u64,
    /// One row a check and subject.
    #[cfg_attr(test, ts(type = "Array<DoctorRow>"))]
    pub checks: Vec<Row>,
    /// What may be suspected, and what this machine says to it.
    pub hypotheses: Vec<Hypothesis>,
}

impl Report {
    pub(super) fn new(checks: Vec<Row>, hypotheses: Vec<Hypothesis>, took: Duration, at_unix_ms: u64) -> Self {
        let has = |verdict: Verdict| checks.iter().any(|row| row.finding.verdict == verdict);
        let verdict = if has(Verdict::Broken) {
            Verdict::Broken
        } else if has(Verdict::Warning) {
            Verdict::Warning
        } else {
            Verdict::Ok
        };
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            system: std::env::consts::OS,
            processor: std::env::consts::ARCH,
            verdict: verdict.as_str(),
            at_unix_ms,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            checks,
            hypotheses,
        }
    }

    /// What is wrong or could not be found out, the worst first.
    pub fn problems(&self) -> Vec<&Row> {
        let mut bad: Vec<&Row> = self.checks.iter().filter(|row| row.finding.verdict.rank() < 3).collect();
        bad.sort_by_key(|row| row.finding.verdict.rank());
        bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{check::Check, finding::Finding};
    use serde_json::json;

    #[test]
    fn the_worst_stands_first_and_decides_and_what_was_not_asked_blames_nothing() {
        let row = |check, verdict| Row { check, finding: Finding::new(verdict, "x", json!({})), took: Duration::ZERO };
        let not_known = || row(Check::Dns, Verdict::NotKnown("y".into()));
        let not_run = || row(Check::Idle, Verdict::NotRun("z".into()));
        let report = |rows: Vec<Row>| Report::new(rows, Vec::new(), Duration::ZERO, 1);
        assert_eq!(report(vec![not_known(), not_run()]).verdict, "ok");
        assert_eq!(report(vec![not_known(), row(Check::Disk, Verdict::Warning)]).verdict, "warning");
        let all = report(vec![not_known(), row(Check::Disk, Verdict::Warning), not_run(), row(Check::Reach, Verdict::Broken)]);
        assert_eq!(all.verdict, "broken");
        let order: Vec<Check> = all.problems().iter().map(|row| row.check).collect();
        assert_eq!(order, [Check::Reach, Check::Disk, Check::Dns]);
    }
}
