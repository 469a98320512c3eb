//! Runs the checks: each within its own limit, those of a stage at the same time. One that crashes is a row.

use super::{
    check::{Check, Stage},
    context::{Context, Options},
    finding::{Finding, Row},
    hypotheses,
    perform::perform,
    report::Report,
};
use crate::health::unix_ms;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// What has ended.
    pub check: Check,
    /// What it found.
    pub rows: &'a [Row],
    /// How many have.
    pub done: u64,
    /// How many there are.
    pub total: u64,
}

/// Examines, and reports each step.
pub async fn run(options: Options, progress: &mut (dyn FnMut(Progress<'_>) + Send)) -> Report {
    let began = Instant::now();
    let (long, unasked) = (options.long, options.place.unasked());
    let chosen: Vec<Check> = options.chosen().collect();
    let total = chosen.len() as u64;
    let mut done = 0;
    let mut rows: Vec<Row> = Vec::new();
    let mut ended = |check: Check, rows: &[Row]| {
        done += 1;
        progress(Progress { check, rows, done, total });
    };
    let context = Arc::new(Context::new(options).await);
    for stage in Stage::ALL {
        let of_stage: Vec<Check> = chosen.iter().copied().filter(|check| check.stage() == stage).collect();
        if stage == Stage::Long && !long {
            for check in of_stage {
                let not_run = [row(check, Finding::not_run(unasked), Duration::ZERO)];
                ended(check, &not_run);
                rows.extend(not_run);
            }
            continue;
        }
        let work = |check| {
            let context = context.clone();
            async move { perform(check, &context).await }
        };
        rows.extend(together(of_stage, Check::limit, work, &mut ended).await);
    }
    rows.sort_by_key(|row| row.check);
    let hypotheses = hypotheses::all(&rows);
    Report::new(rows, hypotheses, began.elapsed(), unix_ms())
}

fn row(check: Check, finding: Finding, took: Duration) -> Row {
    Row { check, finding, took }
}

/// Runs checks at the same time, each on its own.
async fn together<W>(
    checks: Vec<Check>,
    limit: fn(Check) -> Duration,
    work: impl Fn(Check) -> W,
    ended: &mut (impl FnMut(Check, &[Row]) + Send),
) -> Vec<Row>
where
    W: Future<Output = Vec<Finding>> + Send + 'static,
{
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    let mut running = HashMap::new();
    for check in checks {
        let (work, limit) = (work(check), limit(check));
        let handle = tasks.spawn(async move { timeout(limit, work).await });
        running.insert(handle.id(), check);
    }
    let mut rows = Vec::new();
    while let Some(next) = tasks.join_next_with_id().await {
        let id = match &next {
            Ok((id, _)) => *id,
            Err(e) => e.id(),
        };
        let Some(check) = running.remove(&id) else { continue };
        let findings = match next {
            Ok((_, Ok(findings))) => findings,
            Ok((_, Err(_))) => vec![Finding::not_known(format!("it did not end within {:?}", limit(check)))],
            Err(e) if e.is_panic() => vec![Finding::not_known("the check crashed; please report it, with `leeward logs`")],
            Err(_) => vec![Finding::not_known("the check was cancelled")],
        };
        let found: Vec<Row> = findings.into_iter().map(|finding| row(check, finding, began.elapsed())).collect();
        ended(check, &found);
        rows.extend(found);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_or_crashes_is_a_row_and_the_others_go_on() {
        let work = |check: Check| async move {
            match check {
                Check::Dns => std::future::pending().await,
                Check::Clock => panic!("planted"),
                _ => vec![Finding::new(Verdict::Ok, "fine", json!({}))],
            }
        };
        let began = Instant::now();
        let mut seen = 0;
        let checks = vec![Check::Dns, Check::Clock, Check::Disk];
        let rows = together(checks, Check::limit, work, &mut |_, rows| seen += rows.len()).await;
        let of = |check: Check| rows.iter().find(|row| row.check == check).unwrap().finding.verdict.clone();
        assert_eq!(of(Check::Disk), Verdict::Ok);
        assert!(of(Check::Clock).reason().unwrap().contains("crashed") && of(Check::Clock).as_str() == "not-known");
        assert!(of(Check::Dns).reason().unwrap().contains("within 7s") && of(Check::Dns).as_str() == "not-known");
        assert!(began.elapsed() <= Check::Dns.limit() + Duration::from_millis(10) && seen == 3);
    }
}
