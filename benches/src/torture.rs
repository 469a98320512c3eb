//! The torture: one plan of faults, the same for every program, and what its clients saw of each. The upstream is the
//! demo's scripted one, in this process; whatever else is done to a program is done from outside, so that none needs to
//! know of it: resets, full file tables, `accept` made to fail (strace), the listening socket shut down (pidfd), SIGKILL.

mod agent;
mod inject;
mod listener;
mod modes;
mod page;
mod soak;
mod upstream_faults;

use crate::{
    args,
    machine::{self, Cores},
    peer::{self, Home, Peer},
    process::Process,
    table,
};
use agent::Agent;
use anyhow::{Context, Result, ensure};
use scripted::{Plan, Upstream};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

/// What a program's clients saw of one fault.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Verdict {
    /// Requests asked.
    pub(crate) asked: u64,
    /// Requests that a client saw fail.
    pub(crate) failed: u64,
    /// Whether it answers at the end; none where it could not be asked.
    pub(crate) alive: Option<bool>,
    /// Milliseconds until it answered again, where it had stopped to.
    pub(crate) recovery_ms: Option<f64>,
    /// What else there is to say.
    pub(crate) note: String,
}

/// A program that serves, and everything a fault may need to know of it.
pub(crate) struct Case<'a> {
    pub(crate) peer: &'a dyn Peer,
    pub(crate) home: Home,
    pub(crate) process: Process,
    pub(crate) upstream: Upstream,
    pub(crate) cores: Cores,
    /// How many of each, as a percentage of the full plan.
    pub(crate) percent: u32,
}

impl Case<'_> {
    /// This many, or as many as were asked for of them; at least one.
    pub(crate) fn count(&self, full: u64) -> u64 {
        (full * u64::from(self.percent) / 100).max(1)
    }

    /// A new agent of this program's.
    pub(crate) fn agent(&self) -> Agent {
        Agent::new(self.home.place().listen)
    }

    /// Asks on new connections until it is answered; milliseconds, or none within `limit`.
    pub(crate) async fn recovers(&self, limit: Duration) -> Option<f64> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if self.agent().within(Duration::from_secs(1)).ask().await.is_ok() {
                return Some(began.elapsed().as_secs_f64() * 1e3);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// The verdict on so many requests, with a last question whether it is alive.
    pub(crate) async fn verdict(&self, asked: u64, failed: u64) -> Verdict {
        self.upstream.follow(Plan::none());
        let alive = self.recovers(Duration::from_secs(5)).await.is_some();
        Verdict { asked, failed, alive: Some(alive), ..Verdict::default() }
    }
}

type Run = for<'c> fn(&'c mut Case<'_>) -> Pin<Box<dyn Future<Output = Result<Verdict>> + 'c>>;

/// A fault: its name, what is done, and the code that does it.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    run: Run,
}

/// All of them, in the order of the table.
const FAULTS: &[Fault] = &[
    Fault {
        name: "resets",
        what: "10,000 clients reset while they are accepted, a request after every tenth",
        run: |c| Box::pin(listener::resets(c)),
    },
    Fault {
        name: "accept-errors",
        what: "every second `accept` fails for a second, with each of six errors",
        run: |c| Box::pin(inject::accept_errors(c)),
    },
    Fault {
        name: "no-files",
        what: "200 clients while only 60 files may be open; the time from their end to a response",
        run: |c| Box::pin(inject::no_files(c)),
    },
    Fault {
        name: "idle-clients",
        what: "requests beside 5,000 clients that say nothing",
        run: |c| Box::pin(listener::idle_clients(c)),
    },
    Fault {
        name: "slow-writers",
        what: "requests beside 500 clients that send half a head",
        run: |c| Box::pin(listener::slow_writers(c)),
    },
    Fault {
        name: "vanish",
        what: "100 clients leave in the middle of a stream; upstream connections that still stream 1 s later",
        run: |c| Box::pin(listener::vanish(c)),
    },
    Fault {
        name: "reset-at-accept",
        what: "every second connection to the upstream is reset at once",
        run: |c| Box::pin(upstream_faults::at_accept(c)),
    },
    Fault {
        name: "reset-before-head",
        what: "the first attempt of each request is reset before its response",
        run: |c| Box::pin(upstream_faults::before_head(c)),
    },
    Fault {
        name: "reset-in-head",
        what: "the first attempt is reset in the response's head",
        run: |c| Box::pin(upstream_faults::in_head(c)),
    },
    Fault {
        name: "reset-in-body",
        what: "the first attempt is reset in the response's body",
        run: |c| Box::pin(upstream_faults::in_body(c)),
    },
    Fault {
        name: "stale-pool",
        what: "kept connections are reset by the next request's first byte",
        run: |c| Box::pin(upstream_faults::stale_pool(c)),
    },
    Fault {
        name: "cut-early",
        what: "streams cut before their first words, at the first attempt",
        run: |c| Box::pin(upstream_faults::cut_early(c, None)),
    },
    Fault {
        name: "cut-early-gzip",
        what: "the same, and the streams are compressed",
        run: |c| Box::pin(upstream_faults::cut_early(c, Some("gzip"))),
    },
    Fault {
        name: "cut-late",
        what: "streams cut after some words: shown is how many looked whole to the client",
        run: |c| Box::pin(upstream_faults::cut_late(c, None)),
    },
    Fault {
        name: "cut-late-gzip",
        what: "the same, and the streams are compressed",
        run: |c| Box::pin(upstream_faults::cut_late(c, Some("gzip"))),
    },
    Fault {
        name: "restart",
        what: "20 restarts under load, half of the requests on new connections",
        run: |c| Box::pin(inject::restart(c)),
    },
    Fault { name: "socket-shut", what: "the listening socket is shut down", run: |c| Box::pin(inject::socket_shut(c)) },
    Fault { name: "kill", what: "SIGKILL to the process that accepts", run: |c| Box::pin(inject::kill(c)) },
];

/// What all programs' clients saw: by fault, then by program.
pub(crate) type Verdicts = BTreeMap<String, BTreeMap<String, Verdict>>;

/// Runs the plan and writes the page.
pub(crate) fn run(args: &args::Torture) -> Result<()> {
    let cores = Cores::choose()?;
    cores.take_mine()?;
    ensure!(machine::raise_file_limit() > 11_000, "5,000 clients need 11,000 open files; raise the limit (`ulimit -n`)");
    for fault in &args.faults {
        let known = rows().map(|(name, _)| name).collect::<Vec<_>>();
        ensure!(known.contains(&fault.as_str()), "there is no fault `{fault}`; there are {}", known.join(", "));
    }
    let peers = peer::all(&args.field, true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let began = Instant::now();
    let Found { verdicts, soaks, left_out } = runtime.block_on(all(args, &peers, cores))?;
    let mut page = page::page(&verdicts, &soaks, &peers, args, began.elapsed());
    left_out.iter().for_each(|why| page += &format!("\nLeft out: {why}.\n"));
    table::save(&args.field.out, &page)?;
    let raw = args.field.out.with_extension("json");
    table::save(&raw, &serde_json::to_string(&serde_json::json!({ "faults": verdicts, "soak": soaks }))?)?;
    println!("{page}\nSaved as {} and {}.", args.field.out.display(), raw.display());
    let broken: Vec<_> = verdicts
        .iter()
        .filter_map(|(fault, of)| Some((fault, of.get("leeward")?)))
        .filter(|(_, verdict)| verdict.failed > 0 || verdict.alive == Some(false))
        .map(|(fault, verdict)| format!("{fault} ({} of {} failed)", verdict.failed, verdict.asked))
        .collect();
    ensure!(broken.is_empty(), "Leeward did not keep its promise: {}", broken.join(", "));
    // Three resets in a row are more than two replays repair, and are reported; whatever else fails is no promise kept.
    let unreported = soaks.get("leeward").and_then(|soak| soak.reasons.keys().find(|why| *why != "answered 502"));
    ensure!(unreported.is_none(), "Leeward failed a request in the soak: {unreported:?}");
    Ok(())
}

/// The rows of the table, by name and what is done.
fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_modes = modes::ROWS.iter().map(|row| (row.name, row.what));
    FAULTS.iter().map(|fault| (fault.name, fault.what)).chain(of_modes)
}

/// What all of it came to.
struct Found {
    verdicts: Verdicts,
    soaks: BTreeMap<String, soak::Soak>,
    /// Who was not there, and in what.
    left_out: Vec<String>,
}

async fn all(args: &args::Torture, peers: &[Box<dyn Peer>], cores: Cores) -> Result<Found> {
    let mut verdicts = Verdicts::new();
    for fault in FAULTS {
        if !args.faults.is_empty() && !args.faults.iter().any(|name| name == fault.name) {
            continue;
        }
        for peer in peers {
            let upstream = Upstream::plain(Plan::none())?;
            let home = Home::new(upstream.address(), None)?;
            let started = start(peer.as_ref(), home, upstream, cores, args.percent).await;
            let mut case = started.with_context(|| format!("{}: {}", fault.name, peer.name()))?;
            if peer.slow() {
                case.percent = case.percent.div_ceil(10);
            }
            let verdict = (fault.run)(&mut case).await.with_context(|| format!("{}: {}", fault.name, peer.name()))?;
            println!(
                "{:<18} {:<14} {:>5} of {:>5} failed, alive {:?}, recovery {:?} {}",
                fault.name,
                peer.name(),
                verdict.failed,
                verdict.asked,
                verdict.alive,
                verdict.recovery_ms,
                verdict.note
            );
            verdicts.entry(fault.name.to_owned()).or_default().insert(peer.name().to_owned(), verdict);
        }
    }
    let left_out = modes::run(args, peers, cores, &mut verdicts).await?;
    let soaks = match args.soak_minutes > 0.0 {
        true => soak::run(peers, cores, Duration::from_secs_f64(args.soak_minutes * 60.0)).await?,
        false => BTreeMap::new(),
    };
    Ok(Found { verdicts, soaks, left_out })
}

async fn start(peer: &dyn Peer, home: Home, upstream: Upstream, cores: Cores, percent: u32) -> Result<Case<'_>> {
    // The scripted upstream runs in this very thread, so the program is waited for where that can go on.
    let (process, _) = home.start(peer, cores)?;
    peer::answers(home.place().listen, peer.patience()).await?;
    Ok(Case { peer, home, process, upstream, cores, percent })
}
