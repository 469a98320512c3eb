//! Faults of the upstream: one at a time, at each phase of a request.

use super::{Case, Verdict, agent::End};
use anyhow::Result;
use scripted::{Fault, Mark, Moment, Plan};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Requests of each kind.
const REQUESTS: u64 = 100;
/// For a connection's end to arrive at whoever keeps it: the next question is not asked in the same microsecond.
const PAUSE: Duration = Duration::from_millis(5);

/// The fault at the first attempt of each question, none at the next: only who asks again gets a response.
pub(super) fn first_attempt(fault: Fault) -> Plan {
    let seen = Mutex::new(HashSet::new());
    Plan::by(move |moment| match moment {
        Moment::Request { head, .. } => {
            let id = head.header("x-bench-id").unwrap_or_default().to_owned();
            let first = seen.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
            if first { fault.clone() } else { Fault::None }
        }
        Moment::Connection { .. } => Fault::None,
    })
}

async fn answers(case: &mut Case<'_>, plan: Plan) -> Result<Verdict> {
    case.upstream.follow(plan);
    let (asked, mut failed, mut slowest) = (case.count(REQUESTS), 0, Duration::ZERO);
    let mut agent = case.agent();
    for _ in 0..asked {
        let began = std::time::Instant::now();
        if agent.ask().await.is_err() {
            failed += 1;
            agent.anew();
        }
        slowest = slowest.max(began.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    let verdict = case.verdict(asked, failed).await;
    Ok(Verdict { note: format!("slowest response {:.0} ms", slowest.as_secs_f64() * 1e3), ..verdict })
}

pub(super) async fn at_accept(case: &mut Case<'_>) -> Result<Verdict> {
    // Each response is the last of its connection, so that each question needs a new one.
    let plan = Plan::by(|moment| match moment {
        Moment::Connection { connection } if connection % 2 == 0 => Fault::ResetAtAccept,
        Moment::Connection { .. } => Fault::None,
        Moment::Request { .. } => Fault::CloseIdle(Duration::ZERO),
    });
    answers(case, plan).await
}

pub(super) async fn before_head(case: &mut Case<'_>) -> Result<Verdict> {
    answers(case, first_attempt(Fault::ResetBeforeHeaders)).await
}

pub(super) async fn in_head(case: &mut Case<'_>) -> Result<Verdict> {
    answers(case, first_attempt(Fault::ResetInHead(20))).await
}

pub(super) async fn in_body(case: &mut Case<'_>) -> Result<Verdict> {
    answers(case, first_attempt(Fault::ResetAfter(Mark::Bytes(20)))).await
}

pub(super) async fn stale_pool(case: &mut Case<'_>) -> Result<Verdict> {
    answers(case, Plan::always(Fault::ResetOnNextByte)).await
}

async fn streams(case: &mut Case<'_>, plan: Plan, coding: Option<&str>) -> Result<(u64, Vec<End>)> {
    case.upstream.follow(plan);
    let asked = case.count(REQUESTS);
    let mut ends = Vec::new();
    for _ in 0..asked {
        // A stream that breaks off takes its connection with it.
        ends.push(case.agent().stream("?pause_ms=1", coding).await);
    }
    Ok((asked, ends))
}

pub(super) async fn cut_early(case: &mut Case<'_>, coding: Option<&str>) -> Result<Verdict> {
    let (asked, ends) = streams(case, first_attempt(Fault::TruncateAfter(Mark::Events(2))), coding).await?;
    let failed = ends.iter().filter(|end| **end != End::Whole).count() as u64;
    Ok(case.verdict(asked, failed).await)
}

pub(super) async fn cut_late(case: &mut Case<'_>, coding: Option<&str>) -> Result<Verdict> {
    let (asked, ends) = streams(case, Plan::always(Fault::TruncateAfter(Mark::Events(10))), coding).await?;
    let count = |wanted: End| ends.iter().filter(|end| **end == wanted).count() as u64;
    let verdict = case.verdict(asked, count(End::LooksWhole)).await;
    Ok(Verdict { note: format!("{} reported as broken, {} whole", count(End::Reported), count(End::Whole)), ..verdict })
}
