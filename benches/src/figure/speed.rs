//! Latency with one client; throughput and processor time with 16 and 64. A request of 1 KiB, a response of 1 KiB.

use super::Subject;
use crate::{
    load::{self, Plan},
    process::cpu_of,
    record::Record,
    wire,
};
use anyhow::Result;

/// Bytes of the request's body.
pub(crate) const REQUEST: usize = 1024;

pub(crate) async fn measure(subject: &Subject<'_>, record: &mut Record) -> Result<()> {
    for clients in [1, 16, 64] {
        one(subject, clients, record).await?;
    }
    Ok(())
}

/// One load, everything about it written down.
pub(crate) async fn one(subject: &Subject<'_>, clients: usize, record: &mut Record) -> Result<()> {
    let used = || (subject.process.map(|process| process.cpu()), cpu_of(subject.upstream), cpu_of(std::process::id()));
    let request = wire::request(subject.address, "", REQUEST);
    let before = used();
    let load = load::run(Plan { address: subject.address, request, clients, time: subject.time }).await?;
    let after = used();
    let mut add = |figure: &str, value: f64| record.add(subject.name, &format!("{figure}/{clients}"), value);
    add("rate", load.rate());
    add("failed", load.failed as f64);
    add("p50", load.percentile(50.0));
    add("p99", load.percentile(99.0));
    add("p99 corrected", load.corrected(99.0));
    // Each client was answered once before the clock started.
    let answers = (load.answered + clients as u64) as f64;
    if let (Some(after), Some(before)) = (after.0, before.0) {
        add("cpu", (after - before).as_secs_f64() * 1e6 / answers);
        add("share of proxy", (after - before).as_secs_f64() / load.took.as_secs_f64());
    }
    add("share of upstream", (after.1 - before.1).as_secs_f64() / load.took.as_secs_f64());
    add("share of load", (after.2 - before.2).as_secs_f64() / load.took.as_secs_f64());
    Ok(())
}
