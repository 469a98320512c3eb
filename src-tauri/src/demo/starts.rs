//! The second seed: an agent's start-up sends four requests at once, each on a connection of its own, while the network
//! resets 40 % of what it is given.

use super::{
    client::{Answer, Client, Failure, Request},
    progress::Step,
};
use scripted::{Plan, Upstream};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Share of connections and of reused requests that are struck.
pub(super) const PERCENT: u8 = 40;
/// Agents that start at the same time on a bad network: as many as somebody with a few terminals, and far below any descriptor limit.
pub(super) const AT_ONCE: usize = 4;
/// Limit of one request. Leeward gives up earlier than that, and says why.
pub(super) const REQUEST: Duration = Duration::from_secs(60);

/// How the agents fared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Starts {
    /// Agents started.
    pub starts: u64,
    /// Agents of whose requests at least one failed.
    pub starts_failed: u64,
    /// Requests that the agents sent.
    pub requests: u64,
    /// Requests without the right response.
    pub failed: u64,
    /// The same by what the agent saw.
    pub failures: BTreeMap<String, u64>,
    /// What reached the upstream.
    pub upstream: Reached,
    /// Attempts that Leeward retried; `None` without Leeward.
    pub retried: Option<u64>,
    /// Half of the starts took at most this long, in milliseconds.
    pub start_p50_ms: u64,
    /// 99 in 100 starts took at most this long, in milliseconds.
    pub start_p99_ms: u64,
    /// All starts, in milliseconds.
    pub took_ms: u64,
}

/// The upstream's own count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// Connections accepted, those included that were reset at once.
    pub connections: u64,
    /// Requests read.
    pub requests: u64,
    /// Requests answered; more than the agents sent would mean that one was done twice.
    pub answered: u64,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Reached {
    pub(super) fn of(upstream: &Upstream) -> Self {
        upstream.log().read(|record| Self {
            connections: record.connections.len() as u64,
            requests: record.requests.len() as u64,
            answered: record.processed() as u64,
            faults: record.faults(),
        })
    }
}

fn message(stream: bool, words: u32) -> Request {
    let message = r#"[{"role":"user","content":"The ten longest rivers of Brazil, in at most 250 words."}]"#;
    let body = format!(r#"{{"model":"claude-demo","max_tokens":{words},"stream":{stream},"messages":{message}}}"#);
    Request { method: "POST", target: "/v1/messages", body, start: None }
}

/// A question whose response is a stream.
pub(super) fn streamed() -> Request {
    message(true, 250)
}

/// The same whose response the upstream compresses.
pub(super) fn compressed() -> Request {
    Request { target: "/v1/messages?coding=gzip", ..streamed() }
}

/// What one agent asks at its start.
fn requests() -> [Request; 4] {
    [
        Request { method: "HEAD", target: "/api/hello", body: String::new(), start: None },
        Request { method: "GET", target: "/v1/models", body: String::new(), start: None },
        message(false, 8),
        streamed(),
    ]
}

/// The right response, asked from an upstream without faults.
pub(super) async fn right_answer(request: &Request) -> std::io::Result<Answer> {
    let upstream = Upstream::plain(Plan::none())?;
    Client::plain(upstream.address()).ask(request, REQUEST).await.map_err(std::io::Error::other)
}

/// Starts `starts` agents that ask through `client`, `width` of them at a time; `step` is called after each.
pub(super) async fn race(
    client: &Client,
    upstream: &Upstream,
    starts: u64,
    width: usize,
    step: Step<'_>,
) -> std::io::Result<Starts> {
    let mut expected = Vec::new();
    for request in requests() {
        expected.push(right_answer(&request).await?);
    }
    let expected = std::sync::Arc::new(expected);
    let began = Instant::now();
    let (mut running, mut begun) = (JoinSet::new(), 0);
    let (mut times, mut failures, mut starts_failed) = (Vec::new(), BTreeMap::new(), 0);
    loop {
        while begun < starts && running.len() < width {
            begun += 1;
            let (client, expected) = (client.clone(), std::sync::Arc::clone(&expected));
            running.spawn(async move { start(&client, &expected).await });
        }
        let Some(ended) = running.join_next().await else { break };
        let (took, failed) = ended.map_err(std::io::Error::other)?;
        times.push(took.as_millis() as u64);
        starts_failed += u64::from(!failed.is_empty());
        for reason in failed {
            *failures.entry(reason).or_default() += 1;
        }
        step(times.len() as u64);
    }
    times.sort_unstable();
    let percentile = |share: usize| times.get((times.len() * share).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0);
    Ok(Starts {
        starts,
        starts_failed,
        requests: starts * requests().len() as u64,
        failed: failures.values().sum(),
        failures,
        upstream: Reached::of(upstream),
        retried: None,
        start_p50_ms: percentile(50),
        start_p99_ms: percentile(99),
        took_ms: began.elapsed().as_millis() as u64,
    })
}

/// One agent: its requests at once; how long they took and what failed.
async fn start(client: &Client, expected: &[Answer]) -> (Duration, Vec<String>) {
    let began = Instant::now();
    let [a, b, c, d] = requests();
    let ask = |request| async move { client.ask(&request, REQUEST).await };
    let (a, b, c, d) = tokio::join!(ask(a), ask(b), ask(c), ask(d));
    let failed = [a, b, c, d].into_iter().zip(expected).filter_map(|(got, right)| failure(got, right)).collect();
    (began.elapsed(), failed)
}

/// What is wrong with it, as the reports name it.
pub(super) fn failure(got: Result<Answer, Failure>, right: &Answer) -> Option<String> {
    match got {
        Ok(answer) if answer == *right => None,
        Ok(answer) if answer.status != right.status => Some(format!("status {}", answer.status)),
        Ok(_) => Some("wrong content".to_owned()),
        Err(failure) => Some(failure.to_string()),
    }
}
