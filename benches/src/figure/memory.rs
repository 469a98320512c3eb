//! Memory: after the start, with 5,000 clients that keep their connection and say nothing, under load, and after it.

use super::{Subject, speed};
use crate::{load, process::Memory, record::Record, wire};
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::{net::TcpStream, time::sleep};

/// As many as the listener's contract (L8) names.
const CLIENTS: usize = 5000;
/// Leeward takes the buffers back of a connection that has asked nothing for 5 s, 10 s at most (`client.buffer_idle`).
const REST: Duration = Duration::from_secs(11);
/// For what a start or an end still moves.
const SETTLE: Duration = Duration::from_secs(1);

pub(crate) async fn measure(subject: &Subject<'_>, record: &mut Record) -> Result<()> {
    let process = subject.process.context("memory is a proxy's")?;
    let clients = if subject.slow { CLIENTS / 10 } else { CLIENTS };
    let mut add = |figure: &str, memory: Memory| {
        record.add(subject.name, &format!("{figure} rss"), memory.rss as f64);
        record.add(subject.name, &format!("{figure} pss"), memory.pss as f64);
    };
    sleep(SETTLE).await;
    let idle = process.memory();
    add("memory idle", idle);

    let mut silent = Vec::with_capacity(clients);
    for _ in 0..clients {
        silent.push(TcpStream::connect(subject.address).await?);
    }
    sleep(SETTLE).await;
    let with_silent = process.memory();

    // The same, each answered once: an agent that keeps its connection for the next question.
    let request = wire::request(subject.address, "?answer=256", 256);
    let mut kept = Vec::with_capacity(clients);
    for stream in silent.drain(..) {
        let mut line = wire::Line::over(stream);
        line.ask(&request).await?;
        kept.push(line.into_inner());
    }
    sleep(SETTLE).await;
    let with_kept = process.memory();
    sleep(REST).await;
    let with_resting = process.memory();
    drop(kept);
    sleep(SETTLE).await;

    let before = process.memory();
    let request = wire::request(subject.address, "", speed::REQUEST);
    let plan = load::Plan { address: subject.address, request, clients: 64, time: subject.time };
    let (load, under) = tokio::join!(load::run(plan), async {
        sleep(subject.time * 3 / 4).await;
        process.memory()
    });
    load?;
    sleep(SETTLE).await;
    add("memory under load", under);
    add("memory after", process.memory());
    add("memory before load", before);
    for (figure, memory) in [("silent", with_silent), ("kept", with_kept), ("resting", with_resting)] {
        record.add(subject.name, &format!("a {figure} client"), memory.pss.saturating_sub(idle.pss) as f64 / clients as f64);
    }
    Ok(())
}
