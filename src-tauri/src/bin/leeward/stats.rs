//! `leeward stats`: the running instance's counters as a table or as JSON.

use crate::{
    args, block_on, config,
    counters::{faults, latencies, number, table, what_happened},
    exit::{Exit, Outcome},
    history,
    out::Out,
};
use leeward::{
    health::unix_ms,
    instance::{self, ClientError},
    view::{age, thousands},
};
use serde_json::Value;
use std::time::Duration;

const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Runs `leeward stats`.
pub(crate) fn run(args: &args::Stats, out: &mut Out) -> Outcome {
    let config = config::load_to_ask()?;
    if let Some(since) = args.since {
        return history::run(&config, since, args.json, out);
    }
    let stats = block_on(async {
        let client = instance::running(&config).await?.ok_or(ClientError::NotRunning(None))?;
        client.get("/stats", ANSWER_WITHIN).await
    })??;
    if args.json {
        out.json(&stats)?;
    } else {
        print(&stats, unix_ms().saturating_sub(number(&stats, "/since_unix_ms")), out)?;
    }
    Ok(Exit::Ok as i32)
}

fn print(stats: &Value, counted_for: u64, out: &mut Out) -> Outcome<()> {
    let count = |path: &str| thousands(number(stats, path));
    let when = format!(" in the last {}, {} in flight", age(counted_for), count("/in_flight"));
    out.line(out.bold(format!("{} requests", count("/requests"))).then(when))?;
    faults(stats, out)?;
    what_happened(stats, out)?;
    out.line(format!(
        "\n{:<10}  {} reused, {} fresh, {} dials, {} failed dials, {} replays ({} of unknown fate)",
        "pool",
        count("/pool/reused"),
        count("/pool/fresh"),
        count("/pool/dials"),
        count("/pool/dial_failures"),
        count("/replays"),
        count("/replays_unknown")
    ))?;
    if number(stats, "/unknown_inference") > 0 {
        out.line(format!(
            "{:<10}  {} requests name a model and have a path that Leeward does not know: a reset fails them (`replay` in the config)",
            "unknown",
            count("/unknown_inference")
        ))?;
    }
    latencies(stats, &[("total", "total"), ("first byte", "first_byte"), ("Leeward", "own")], out)?;
    let upstreams = stats.get("upstreams").and_then(Value::as_object).into_iter().flatten();
    for (index, (name, upstream)) in upstreams.enumerate() {
        if index == 0 {
            out.line(format!("\n{:<14}  {:>9} {:>9} {:>9}", "upstream", "requests", "rescued", "failed"))?;
        }
        let cell = |path: &str| thousands(number(upstream, path));
        out.line(format!("{name:<14}  {:>9} {:>9} {:>9}", cell("/requests"), cell("/rescued"), cell("/failed")))?;
    }
    table(stats, "/agents", "agent", out)
}
