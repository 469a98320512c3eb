//! `leeward demo`: the two faults that Leeward was born from, and some that came after, replayed on this machine without
//! an account.
//!
//! Real sockets, real resets, real TLS, all on loopback. It prints nothing: whoever calls it shows the report.

mod asyncio;
mod client;
mod engine;
mod error;
mod modes;
mod naive;
mod progress;
mod report;
mod session;
mod starts;
mod storm;
mod trials;

pub use error::Error;
pub use modes::{ByFault, InMode, Modes};
pub use progress::Progress;
pub use report::{Comparison, Listeners, Proactor, Report};
pub use starts::{Reached, Starts};
pub use storm::Storm;
pub use trials::{Tally, Trial};

use crate::config::StreamMode;
use asyncio::Asyncio;
use client::Client;
use engine::Proxied;
use naive::Naive;
use scripted::{Plan, Upstream};
use std::time::Instant;
use trials::Kind;

/// The seed when the user names none.
pub const DEFAULT_SEED: u64 = 62_327;

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The faults are drawn from it; the same seed gives the same faults.
    pub seed: u64,
    /// Clients that reset their connection.
    pub clients: u64,
    /// Agents that start.
    pub starts: u64,
    /// Requests for each kind of fault.
    pub trials: u64,
}

impl Default for Options {
    /// As in the two reports: 400 clients, 100 starts.
    fn default() -> Self {
        Self { seed: DEFAULT_SEED, clients: 400, starts: 100, trials: 20 }
    }
}

impl Options {
    /// A tenth of it or so, for a first look and for tests.
    pub fn quick() -> Self {
        Self { clients: 40, starts: 10, trials: 10, ..Self::default() }
    }
}

/// Runs everything, each trial without Leeward and with it. Needs a Tokio runtime with time and I/O.
///
/// # Errors
/// When the demo itself cannot be set up.
pub async fn run(options: Options, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Report, Error> {
    let began = Instant::now();
    let each = |kind: &Kind| if *kind == Kind::Burst { trials::BURST } else { options.trials };
    let asyncio = Asyncio::start().await;
    let more = if asyncio.is_some() { options.clients } else { 0 };
    let total = more + 2 * (options.clients + options.starts + Kind::ALL.iter().map(each).sum::<u64>());
    let total = total + modes::CELLS * modes::STARTS;
    let mut before = 0;
    let mut stage = |stage: &'static str, steps: u64| {
        let base = before;
        before += steps;
        move |progress: &mut (dyn FnMut(Progress) + Send), step: u64| progress(Progress { stage, done: base + step, total })
    };

    let tell = stage("a naive listener, clients that reset", options.clients);
    let naive = Naive::start().await?;
    let without = storm::strike(naive.address(), options.clients, &mut |n| tell(progress, n)).await;
    drop(naive);

    let mut python = None;
    if let Some(running) = asyncio {
        let tell = stage("CPython's Proactor loop, clients that reset", options.clients);
        let storm = storm::strike(running.address(), options.clients, &mut |n| tell(progress, n)).await;
        python = Some(Proactor { version: running.version().to_owned(), storm });
    }

    let tell = stage("Leeward, clients that reset", options.clients);
    let upstream = Upstream::plain(Plan::none())?;
    let sheltered = Proxied::start(&upstream, StreamMode::default()).await?;
    let leeward = storm::strike(sheltered.address(), options.clients, &mut |n| tell(progress, n)).await;
    sheltered.stop().await?;
    let listener = Listeners { without, python, leeward };

    let tell = stage("agents start, directly", options.starts);
    let upstream = Upstream::tls(Plan::repairable(options.seed, starts::PERCENT))?;
    let client = Client::tls(upstream.address(), upstream.authority().unwrap_or_default())?;
    let without = starts::race(&client, &upstream, options.starts, starts::AT_ONCE, &mut |n| tell(progress, n)).await?;

    let tell = stage("agents start, through Leeward", options.starts);
    let upstream = Upstream::tls(Plan::repairable(options.seed, starts::PERCENT))?;
    let sheltered = Proxied::start(&upstream, StreamMode::default()).await?;
    let client = Client::plain(sheltered.address());
    let mut leeward = starts::race(&client, &upstream, options.starts, starts::AT_ONCE, &mut |n| tell(progress, n)).await?;
    leeward.retried = Some(sheltered.retried());
    sheltered.stop().await?;
    let starts = Comparison { without, leeward };

    let mut trials = Vec::new();
    for kind in Kind::ALL {
        let tell = stage("one fault at a time", 2 * each(&kind));
        trials.push(trials::run(kind, options.trials, &mut |n| tell(progress, n)).await?);
    }

    let tell = stage("agents start, in each mode", modes::CELLS * modes::STARTS);
    let modes = modes::run(options.seed, &mut |n| tell(progress, n)).await?;

    let (version, took_ms) = (env!("CARGO_PKG_VERSION"), began.elapsed().as_millis() as u64);
    let mut report = Report { version, seed: options.seed, passed: false, took_ms, listener, starts, trials, modes };
    report.passed = report.shortfalls().is_empty();
    Ok(report)
}
