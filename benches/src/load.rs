//! The load generator: so many clients, each with a connection of its own, each asking again as soon as it is answered.
//!
//! A client that waits does not ask, so a closed loop hides what a pause would have cost the requests that were not sent
//! (coordinated omission). `Load::corrected` puts them back, as HdrHistogram does it: a response that took n medians stands
//! for n requests, each of which would have waited a median less.

use crate::wire::{LIMIT, Line};
use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use std::{
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::task::LocalSet;

/// What a load is.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) request: Vec<u8>,
    pub(crate) clients: usize,
    pub(crate) time: Duration,
}

/// What it found.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) took: Duration,
    /// Nanoseconds to the response's end, as measured.
    pub(crate) times: Histogram<u64>,
}

impl Load {
    /// Responses a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }

    /// A percentile in microseconds.
    pub(crate) fn percentile(&self, percentile: f64) -> f64 {
        self.times.value_at_percentile(percentile) as f64 / 1e3
    }

    /// The same with the requests that a pause kept from being sent.
    pub(crate) fn corrected(&self, percentile: f64) -> f64 {
        let expected = self.times.value_at_percentile(50.0).max(1);
        self.times.clone_correct(expected).value_at_percentile(percentile) as f64 / 1e3
    }
}

/// Runs it. All connections are open before the clock starts, and each has been answered once.
pub(crate) async fn run(plan: Plan) -> Result<Load> {
    let plan = Rc::new(plan);
    let local = LocalSet::new();
    let ready = Rc::new(tokio::sync::Semaphore::new(0));
    let start = Rc::new(tokio::sync::Notify::new());
    let clients: Vec<_> =
        (0..plan.clients).map(|_| local.spawn_local(client(Rc::clone(&plan), Rc::clone(&ready), Rc::clone(&start)))).collect();
    local
        .run_until(async move {
            let warm = ready.acquire_many(u32::try_from(plan.clients)?);
            tokio::time::timeout(LIMIT, warm).await.context("not all clients were answered once")??.forget();
            start.notify_waiters();
            let began = Instant::now();
            let mut load = Load { answered: 0, failed: 0, took: Duration::ZERO, times: histogram()? };
            for client in clients {
                let (times, failed) = client.await??;
                load.answered += times.len();
                load.failed += failed;
                load.times.add(times)?;
            }
            load.took = began.elapsed();
            Ok(load)
        })
        .await
}

/// From a microsecond to a minute, to three digits.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(100, 60_000_000_000, 3)?)
}

async fn client(
    plan: Rc<Plan>,
    ready: Rc<tokio::sync::Semaphore>,
    start: Rc<tokio::sync::Notify>,
) -> Result<(Histogram<u64>, u64)> {
    let started = start.notified();
    tokio::pin!(started);
    started.as_mut().enable();
    let mut line = Some(Line::open(plan.address).await?);
    if let Some(open) = &mut line {
        let answer = open.ask(&plan.request).await?;
        anyhow::ensure!(answer.status == 200, "the first request was answered {}", answer.status);
        if answer.closes {
            line = None;
        }
    }
    ready.add_permits(1);
    started.await;
    let end = Instant::now() + plan.time;
    let (mut times, mut failed) = (histogram()?, 0);
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok((times, failed));
        }
        match once(&plan, &mut line).await {
            Ok(200) => times.saturating_record(u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            _ => {
                failed += 1;
                line = None;
                // A proxy that refuses everything must not make this a busy loop.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

async fn once(plan: &Plan, line: &mut Option<Line<tokio::net::TcpStream>>) -> std::io::Result<u16> {
    let open = match line {
        Some(open) => open,
        None => line.insert(Line::open(plan.address).await?),
    };
    let answer = tokio::time::timeout(LIMIT, open.ask(&plan.request)).await??;
    if answer.closes {
        *line = None;
    }
    Ok(answer.status)
}
