//! The rounds of a soak: fresh upstreams each, one engine for all. After each round everything has to be given back.

use crate::{
    agent::{Notes, Round},
    ask,
    judge::{self, Law},
    modes::Modes,
    process::{self, Held},
    script::{Stage, Weather},
    storm::{self, Disk},
};
use leeward::{
    config::{Config, StreamMode, Trust},
    supervisor::{Engine, TestHooks},
};
use scripted::{Fault, Moment, Plan, Record, Upstream};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet};

/// Longest round: what the upstreams remember of it is forgotten afterwards.
const ROUND: Duration = Duration::from_secs(12);
const AGENTS: u64 = 40;
/// Agents that send large bodies at once: all of them fit into what Leeward holds for replay (256 MiB).
const LARGE: usize = 4;
/// Everything is given back within this, also on a busy machine.
const SETTLE: Duration = Duration::from_secs(30);
/// Growth of memory that a long run may show: allocators keep what they had at their peak.
const GROWTH_MIB: u64 = 160;

/// Runs rounds for that long; the promises that were broken.
pub async fn soak(seed: u64, time: Duration) -> Vec<String> {
    let answers = ask::answers().await;
    let home = tempfile::tempdir().unwrap();
    let plain = base(home.path());
    let disk = Disk::new(plain.clone());
    // What this machine's own network does meanwhile is no part of it.
    let hooks = TestHooks { network: Some(Arc::new(|_| Box::pin(std::future::ready(())))), ..TestHooks::default() };
    let (first, reload) = (plain.clone(), disk.reload());
    let engine = tokio::task::spawn_blocking(move || Engine::start_with(first, reload, hooks)).await.unwrap().unwrap();
    let began = Instant::now();
    let mut broken = Vec::new();
    let (mut before, mut memory, mut latencies) = (None, Vec::new(), Vec::new());
    for nth in 0.. {
        let left = time.saturating_sub(began.elapsed());
        if left.is_zero() && nth > 0 {
            break;
        }
        let seed = fastrand::Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(nth)).u64(1..1 << 48);
        let (law, weather, name) = match nth % 4 {
            0 | 2 => (law(true, false), Weather { seed, percent: 35, most: 2 }, "strict"),
            1 => (law(true, true), Weather { seed, percent: 35, most: 2 }, "strict, answers held"),
            _ => (law(false, false), Weather { seed, percent: 60, most: 4 }, "default policy"),
        };
        let config = config(&plain, law);
        println!("round {nth} ({name})");
        let round = one(&engine, &disk, config, law, weather, &answers, left.min(ROUND)).await;
        broken.extend(round.broken.into_iter().map(|why| format!("round {nth} ({name}): {why}")));
        latencies.extend(round.latencies);
        let settled = settle(&engine, before).await;
        broken.extend(settled.err());
        // The first round fills what is filled once: the log, the history, the pools of threads.
        before = before.or_else(process::held);
        memory.extend(process::resident_mib());
        if broken.len() > 40 {
            break;
        }
    }
    latencies.sort_unstable();
    let at = |share: usize| latencies.get((latencies.len() * share / 100).min(latencies.len().saturating_sub(1)));
    println!("{} requests; p50 {:?}, p99 {:?}, slowest {:?}", latencies.len(), at(50), at(99), latencies.last());
    println!("resident after each round, MiB: {memory:?}");
    if let Some(grown) = growth(&memory).filter(|grown| *grown > GROWTH_MIB) {
        broken.push(format!("memory grew by {grown} MiB: {memory:?}"));
    }
    let stopped = tokio::task::spawn_blocking(move || engine.stop(Duration::from_secs(5)));
    stopped.await.unwrap();
    broken
}

/// Between the first and the last third, by their medians.
fn growth(memory: &[u64]) -> Option<u64> {
    let third = memory.len() / 3;
    let median = |part: &[u64]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part.get(part.len() / 2).copied()
    };
    Some(median(&memory[memory.len() - third..])?.saturating_sub(median(&memory[..third])?))
}

fn law(strict: bool, holds: bool) -> Law {
    Law { strict, holds, replays: if strict { 3 } else { 2 }, unheard: !strict }
}

fn base(home: &std::path::Path) -> Config {
    let mut config = Config::under(home).unwrap();
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.listen_pinned = true;
    config.workers = 2;
    // With pings a response has other bytes than its upstream's, and a busy machine is slow enough for them; `stream` tests them.
    config.stream.commit_wait = Duration::from_secs(600);
    config
}

/// Strict: generous enough that whatever can be repaired is. Else what a user has who has set nothing.
fn config(plain: &Config, law: Law) -> Config {
    let mut config = plain.clone();
    if law.strict {
        config.retry.replays = law.replays;
        config.retry.total = Duration::from_secs(60);
        config.retry.base = Duration::from_millis(2);
        config.retry.cap = Duration::from_millis(100);
        config.retry.budget_floor = 100_000;
        config.circuit.max_wait = Duration::from_secs(60);
        config.circuit.probe = Duration::from_millis(100);
        config.connect.tls_timeout = Duration::from_secs(3);
    }
    config.stream.mode = if law.holds { StreamMode::Hold } else { StreamMode::Pass };
    config
}

struct Outcome {
    broken: Vec<String>,
    latencies: Vec<Duration>,
}

/// One round: upstreams, agents and the storm, and what is to be said about it.
async fn one(
    engine: &Engine,
    disk: &Disk,
    mut config: Config,
    law: Law,
    weather: Weather,
    answers: &ask::Answers,
    time: Duration,
) -> Outcome {
    let stage = Arc::new(Stage::default());
    let upstreams: Vec<_> =
        [true, false, true].iter().enumerate().map(|(nth, tls)| upstream(nth, *tls, law, weather, &stage)).collect();
    let modes = Modes::new(weather.seed).await;
    let authorities = upstreams.iter().filter_map(|u| u.authority()).map(<[u8]>::to_vec);
    config.trust = Trust::Only(authorities.chain([modes.authority()]).collect());
    modes.lead(&mut config);
    let names: Vec<_> = (0..upstreams.len()).map(|nth| format!("soak{nth}")).collect();
    config.upstreams.extend(names.iter().cloned().zip(upstreams.iter().map(|u| u.url().clone())));
    disk.write(Ok(config.clone()));
    assert!(storm::restart(engine).await, "the round's config is taken");
    let replays = engine.traffic().snapshot().replays;
    let began = Instant::now();
    let round = Round {
        base: format!("http://{}", engine.address()),
        upstreams: names,
        weather,
        answers: answers.clone(),
        stage,
        large: Arc::new(Semaphore::new(LARGE)),
        until: began + time,
    };
    let mut agents = JoinSet::new();
    for client in 0..AGENTS {
        agents.spawn(round.clone().agent(client));
    }
    let rage = storm::rage(engine, disk, &config, fastrand::Rng::with_seed(weather.seed), round.until);
    let in_tunnels = modes.live(engine.address(), &config, weather.seed, round.until);
    let (count, seen, in_tunnels) = tokio::join!(rage, agents.join_all(), in_tunnels);
    let notes: Notes = seen.into_iter().flatten().map(|seen| (seen.step.id.clone(), seen)).collect();
    let in_flight = eventually(async || engine.traffic().snapshot().in_flight == 0).await;
    let records: Vec<Record> = upstreams.iter().map(|u| u.log().record()).collect();
    let verdict = judge::judge(&notes, &records, law, answers);
    let stats = engine.traffic().snapshot();
    let mut broken = verdict.broken;
    broken.extend(in_tunnels);
    if !in_flight {
        broken.push(format!("{} requests are in flight without an agent", stats.in_flight));
    }
    if verdict.repeated > stats.replays - replays {
        broken.push(format!("{} arrivals again, and only {} counted as replays", verdict.repeated, stats.replays - replays));
    }
    let arrivals: usize = records.iter().map(|r| r.requests.len()).sum();
    // The default budget: a fifth of the requests, ten a second, and what the bucket holds.
    let bound = notes.len() as f64 * 1.2 + began.elapsed().as_secs_f64() * 10.0 + 100.0;
    if !law.strict && arrivals as f64 > bound {
        broken.push(format!("{arrivals} arrivals for {} requests, bound {bound:.0}", notes.len()));
    }
    println!(
        "  {} requests in {:.1?}, {arrivals} arrivals, {} replays counted, {} seen; ends {:?}; crossed {}; {count:?}; {:?}",
        notes.len(),
        began.elapsed(),
        stats.replays - replays,
        verdict.repeated,
        verdict.ends,
        verdict.crossed,
        total(&records),
    );
    engine.network_changed(); // what is idle is closed
    for upstream in upstreams {
        upstream.stop().await;
    }
    modes.stop().await;
    Outcome { broken, latencies: notes.values().filter(|s| s.step.leaves.is_none()).map(|s| s.took).collect() }
}

/// How often each fault struck.
fn total(records: &[Record]) -> std::collections::BTreeMap<&'static str, u64> {
    let mut total = std::collections::BTreeMap::new();
    for (name, count) in records.iter().flat_map(Record::faults) {
        *total.entry(name).or_default() += count;
    }
    total
}

/// An upstream whose requests follow the stage, and whose connections meet faults of their own.
fn upstream(nth: usize, tls: bool, law: Law, weather: Weather, stage: &Arc<Stage>) -> Upstream {
    let mut faults = vec![Fault::ResetAtAccept, Fault::ResetAtAccept, Fault::ResetInTls, Fault::ResetInTls, Fault::CloseInTls];
    if tls {
        // Within its first message, which is all but the whole of a resumed session's: with the whole of it a client's side of the handshake is done, and a request may be on its way.
        faults.extend([1, 60, 120].map(Fault::ResetInServerHello));
        faults.extend([Fault::StallInTls, Fault::ResetHelloOver(600)]);
    }
    // In the clear a reset connection takes a request with it that was never read: only where that need not be repaired.
    let percent = if tls {
        12
    } else if law.unheard {
        8
    } else {
        0
    };
    let connections = Plan::seeded(weather.seed.wrapping_add(nth as u64), percent, faults);
    let stage = stage.clone();
    let plan = Plan::by(move |moment| match moment {
        Moment::Connection { .. } => connections.choose(moment),
        Moment::Request { .. } => stage.next(moment),
    });
    if tls { Upstream::tls(plan).unwrap() } else { Upstream::plain(plan).unwrap() }
}

async fn eventually(mut done: impl AsyncFnMut() -> bool) -> bool {
    let until = Instant::now() + SETTLE;
    while !done().await {
        if Instant::now() > until {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

/// Waits until the engine holds no more than it did before.
async fn settle(engine: &Engine, before: Option<Held>) -> Result<(), String> {
    let given_back = eventually(async || {
        let now = process::held();
        let more =
            before.zip(now).is_some_and(|(b, n)| n.sockets > b.sockets || n.files > b.files || n.generations > b.generations);
        // At first: one generation, whatever it holds.
        let old = before.is_none() && now.is_some_and(|n| n.generations > 1);
        let connections = engine.status().borrow().listener.connections;
        !more && !old && engine.held_bytes() == 0 && connections == 0
    });
    if given_back.await {
        return Ok(());
    }
    let (now, status) = (process::held(), engine.status().borrow().clone());
    Err(format!(
        "not given back within {SETTLE:?}: {now:?}, before {before:?}; {} bytes held, {} connections, conditions {:?}",
        engine.held_bytes(),
        status.listener.connections,
        status.conditions,
    ))
}
