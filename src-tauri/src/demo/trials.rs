//! One fault at a time: the same requests directly and through Leeward, for each way in which an API's edge breaks them.

use super::{
    client::{Answer, Client, Request, Session},
    engine::Proxied,
    error::Error,
    progress::Step,
    starts::{self, REQUEST, Reached, Starts},
};
use crate::config::StreamMode;
use scripted::{Fault, Mark, Moment, Plan, Queue, Upstream};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Agents of the burst.
pub(super) const BURST: u64 = 50;
/// The queue that they find: as short as some edges have it.
const QUEUE: Queue = Queue { places: 8, every: Duration::from_millis(2) };
/// Longer than a hello without a post-quantum key share, and shorter than one with it.
const CLASSICAL: u16 = 1000;
/// Bytes of the server's TLS response that come before a reset in it.
const SERVER_HELLO: usize = 100;
/// The first events of a stream announce content and hold none.
const PREAMBLE: u64 = 3;
/// An event in the middle of the response.
const MIDDLE: u64 = 12;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    TlsReset,
    LargeHello,
    StalePool,
    Burst,
    EarlyCut,
    CompressedCut,
    Hold,
}

impl Kind {
    /// All of them, in the order in which they are shown.
    pub(super) const ALL: [Self; 7] =
        [Self::TlsReset, Self::LargeHello, Self::StalePool, Self::Burst, Self::EarlyCut, Self::CompressedCut, Self::Hold];

    /// The name in JSON; public and stable.
    fn name(self) -> &'static str {
        match self {
            Self::TlsReset => "tls-reset",
            Self::LargeHello => "large-hello-reset",
            Self::StalePool => "stale-pool",
            Self::Burst => "burst",
            Self::EarlyCut => "cut-before-content",
            Self::CompressedCut => "gzip-cut-before-content",
            Self::Hold => "hold",
        }
    }

    /// What happens, as a row of the table.
    fn title(self) -> &'static str {
        match self {
            Self::TlsReset => "every 2nd TLS handshake reset",
            Self::LargeHello => "every post-quantum TLS hello reset",
            Self::StalePool => "kept connections gone when used again",
            Self::Burst => "50 agents at once, a queue of 8",
            Self::EarlyCut => "every 2nd stream cut before its content",
            Self::CompressedCut => "every 2nd gzip stream cut before its content",
            Self::Hold => "every 2nd stream cut later, \"hold\" mode",
        }
    }

    fn plan(self) -> Plan {
        let turns = AtomicU64::new(0);
        // The two of a pair differ, and so do the pairs.
        let every_second = move |strike: &dyn Fn(u64) -> Fault| {
            let turn = turns.fetch_add(1, Relaxed);
            if turn.is_multiple_of(2) { strike(turn / 2) } else { Fault::None }
        };
        Plan::by(move |moment| match (self, moment) {
            (Self::TlsReset, Moment::Connection { .. }) => every_second(&|pair| match pair % 3 {
                0 => Fault::ResetInTls,
                1 => Fault::ResetInServerHello(SERVER_HELLO),
                _ => Fault::CloseInTls,
            }),
            (Self::LargeHello, Moment::Connection { .. }) => Fault::ResetHelloOver(CLASSICAL),
            // Only what no look at the socket can foresee: a good pool notices a connection that was closed before.
            (Self::StalePool, Moment::Request { connection, .. }) => match connection % 2 {
                0 => Fault::ResetOnNextByte,
                _ => Fault::CloseOnNextByte,
            },
            (Self::EarlyCut | Self::CompressedCut, Moment::Request { .. }) => {
                every_second(&|pair| cut(pair, Mark::Events(pair % (PREAMBLE + 1))))
            }
            (Self::Hold, Moment::Request { .. }) => every_second(&|pair| cut(pair, Mark::Events(MIDDLE))),
            _ => Fault::None,
        })
    }

    /// True when the upstream has to begin an answer again that it had begun.
    fn repeats_work(self) -> bool {
        matches!(self, Self::EarlyCut | Self::CompressedCut | Self::Hold)
    }
}

fn cut(pair: u64, mark: Mark) -> Fault {
    if pair.is_multiple_of(2) { Fault::ResetAfter(mark) } else { Fault::TruncateAfter(mark) }
}

/// One kind of fault, without Leeward and with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// Its stable name.
    pub name: &'static str,
    /// What happens, as a phrase.
    pub title: &'static str,
    /// True when the upstream has to begin an answer again that it had begun.
    pub repeats_work: bool,
    /// The client talks to the upstream itself.
    pub without: Tally,
    /// The same through Leeward.
    pub leeward: Tally,
}

/// How a client fared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tally {
    /// Requests sent.
    pub requests: u64,
    /// Requests without the right response.
    pub failed: u64,
    /// The same by what the client saw.
    pub failures: BTreeMap<String, u64>,
    /// What reached the upstream.
    pub upstream: Reached,
    /// Attempts that Leeward retried; `None` without Leeward.
    pub retried: Option<u64>,
    /// All requests, in milliseconds.
    pub took_ms: u64,
}

impl From<Starts> for Tally {
    fn from(starts: Starts) -> Self {
        let Starts { requests, failed, failures, upstream, retried, took_ms, .. } = starts;
        Self { requests, failed, failures, upstream, retried, took_ms }
    }
}

/// Runs one kind, `requests` of each; `step` is called after each request or start.
pub(super) async fn run(kind: Kind, requests: u64, step: Step<'_>) -> Result<Trial, Error> {
    let per_column = if kind == Kind::Burst { BURST } else { requests };
    let upstream = open(kind)?;
    let client = Client::tls(upstream.address(), upstream.authority().unwrap_or_default())?;
    let without = ask(kind, &client, &upstream, requests, step).await?;

    let upstream = open(kind)?;
    let mode = if kind == Kind::Hold { StreamMode::Hold } else { StreamMode::default() };
    let sheltered = Proxied::start(&upstream, mode).await?;
    let client = Client::plain(sheltered.address());
    let mut leeward = ask(kind, &client, &upstream, requests, &mut |n| step(per_column + n)).await?;
    leeward.retried = Some(sheltered.retried());
    sheltered.stop().await?;
    Ok(Trial { name: kind.name(), title: kind.title(), repeats_work: kind.repeats_work(), without, leeward })
}

fn open(kind: Kind) -> std::io::Result<Upstream> {
    if kind == Kind::Burst { Upstream::behind(QUEUE, kind.plan()) } else { Upstream::tls(kind.plan()) }
}

async fn ask(kind: Kind, client: &Client, upstream: &Upstream, requests: u64, step: Step<'_>) -> Result<Tally, Error> {
    if kind == Kind::Burst {
        return Ok(starts::race(client, upstream, BURST, BURST as usize, step).await?.into());
    }
    let question = if kind == Kind::CompressedCut { starts::compressed() } else { starts::streamed() };
    let right = starts::right_answer(&question).await?;
    let began = Instant::now();
    let failures = match kind {
        Kind::TlsReset | Kind::LargeHello => at_once(client, &question, &right, requests, step).await?,
        Kind::StalePool | Kind::EarlyCut | Kind::CompressedCut | Kind::Hold | Kind::Burst => {
            one_by_one(client.session(), &question, &right, requests, step).await
        }
    };
    Ok(Tally {
        requests,
        failed: failures.values().sum(),
        failures,
        upstream: Reached::of(upstream),
        retried: None,
        took_ms: began.elapsed().as_millis() as u64,
    })
}

/// All requests at the same time, each on a connection of its own.
async fn at_once(
    client: &Client,
    question: &Request,
    right: &Answer,
    requests: u64,
    step: Step<'_>,
) -> std::io::Result<BTreeMap<String, u64>> {
    let (mut running, mut failures, right) = (JoinSet::new(), BTreeMap::new(), Arc::new(right.clone()));
    for _ in 0..requests {
        let (client, question, right) = (client.clone(), question.clone(), right.clone());
        running.spawn(async move { starts::failure(client.ask(&question, REQUEST).await, &right) });
    }
    let mut done = 0;
    while let Some(ended) = running.join_next().await {
        count(&mut failures, ended.map_err(std::io::Error::other)?);
        done += 1;
        step(done);
    }
    Ok(failures)
}

/// One request after another on a connection that is kept as long as it lasts.
async fn one_by_one(
    mut session: Session,
    question: &Request,
    right: &Answer,
    requests: u64,
    step: Step<'_>,
) -> BTreeMap<String, u64> {
    let mut failures = BTreeMap::new();
    for done in 1..=requests {
        count(&mut failures, starts::failure(session.ask(question, REQUEST).await, right));
        step(done);
    }
    failures
}

fn count(failures: &mut BTreeMap<String, u64>, failure: Option<String>) {
    if let Some(reason) = failure {
        *failures.entry(reason).or_default() += 1;
    }
}
