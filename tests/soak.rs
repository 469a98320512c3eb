//! The soak: random requests of many agents, random faults at their upstreams, and restarts, reloads and network events
//! meanwhile. All of it is drawn from one seed.
//!
//! A program of its own, because it judges what its process holds. `cargo xtask soak` runs it; without `--minutes` it
//! only says so.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking and ends with its process"
)]

#[path = "soak/agent.rs"]
mod agent;
#[path = "soak/ask.rs"]
mod ask;
#[path = "soak/judge.rs"]
mod judge;
#[path = "soak/modes.rs"]
mod modes;
#[path = "soak/process.rs"]
mod process;
#[path = "soak/round.rs"]
mod round;
#[path = "soak/script.rs"]
mod script;
#[path = "soak/storm.rs"]
mod storm;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// What the command line says.
struct Options {
    time: Duration,
    seed: u64,
}

fn options() -> Result<Option<Options>, String> {
    let (mut minutes, mut seed) = (None, fastrand::u64(..1 << 32));
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().ok_or(format!("{word} needs a number"));
        match word.as_str() {
            "--minutes" => minutes = Some(number()?.parse::<f64>().map_err(|e| format!("--minutes: {e}"))?),
            "--seed" => seed = number()?.parse().map_err(|e| format!("--seed: {e}"))?,
            _ => {} // `cargo test` hands every test program the same words
        }
    }
    let Some(minutes) = minutes else { return Ok(None) };
    let time = Duration::try_from_secs_f64(minutes * 60.0).map_err(|e| format!("--minutes: {e}"))?;
    Ok(Some(Options { time, seed }))
}

/// A task that panics is caught by its runtime; here it is a broken promise.
fn count_panics() -> Arc<AtomicU64> {
    let count = Arc::<AtomicU64>::default();
    let (counter, show) = (count.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        counter.fetch_add(1, Relaxed);
        show(info);
    }));
    count
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("soak: skipped without `--minutes N`; `cargo xtask soak` runs it");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("soak: {why}");
            return ExitCode::from(64);
        }
    };
    let Options { time, seed } = options;
    println!("soak: {:.1} minutes, seed {seed}", time.as_secs_f64() / 60.0);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let panics = count_panics();
    let mut broken = runtime.block_on(round::soak(seed, time));
    runtime.shutdown_timeout(Duration::from_secs(2));
    if panics.load(Relaxed) > 0 {
        broken.push(format!("{} panics", panics.load(Relaxed)));
    }
    if broken.is_empty() {
        println!("soak: passed");
        return ExitCode::SUCCESS;
    }
    for promise in broken.iter().take(40) {
        eprintln!("BROKEN {promise}");
    }
    eprintln!("soak: {} promises broken; repeat with --seed {seed}", broken.len());
    ExitCode::FAILURE
}
