//! `leeward stats --since`: the history, from whoever keeps it at the moment, else from its file.

use crate::{
    block_on,
    counters::{faults, latencies, number, what_happened},
    exit::{Exit, Failure, Outcome},
    out::Out,
};
use leeward::{
    config::Config,
    health::unix_ms,
    instance::{self, ClientError},
    ledger,
    status::history::Span,
    view::{age, thousands},
};
use serde_json::Value;
use std::time::Duration;

/// Longer than the engine itself takes to say that it cannot answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// Rows of the chart; a terminal is not high.
const STEPS: usize = 24;
/// Single faults that are listed.
const NEWEST: usize = 10;

/// Shows what happened within `since`.
pub(crate) fn run(config: &Config, since: Duration, json: bool, out: &mut Out) -> Outcome {
    let span = Span::last(since, unix_ms());
    let running = block_on(async {
        let client = match instance::running(config).await {
            Ok(Some(client)) => client,
            // One that does not answer has written what it knew.
            Ok(None) | Err(ClientError::Broken { .. } | ClientError::Stranger { .. }) => return Ok(None),
            Err(e) => return Err(e),
        };
        let Span { since_unix_ms, until_unix_ms, step_ms, faults } = span;
        let query = format!("since={since_unix_ms}&until={until_unix_ms}&step={step_ms}ms&limit={faults}");
        client.get(&format!("/_leeward/v1/history?{query}"), ANSWER_WITHIN).await.map(Some)
    })??;
    let history = match running {
        Some(history) => history,
        None => from_file(config, &span)?,
    };
    if json {
        out.json(&history)?;
    } else {
        print(&history, out)?;
    }
    Ok(Exit::Ok as i32)
}

fn from_file(config: &Config, span: &Span) -> Outcome<Value> {
    let history = ledger::read(&config.paths, span).map_err(|why| Failure::new(Exit::Unavailable, why))?.ok_or_else(|| {
        let file = config.paths.ledger_file();
        let why = format!("no Leeward is running, and there is no history in {}; start one with `leeward serve`", file.display());
        Failure::new(Exit::Unavailable, why)
    })?;
    serde_json::to_value(history).map_err(|e| Failure::new(Exit::Unavailable, e))
}

fn print(history: &Value, out: &mut Out) -> Outcome<()> {
    let now = unix_ms();
    let length = number(history, "/until_unix_ms").saturating_sub(number(history, "/since_unix_ms"));
    let requests = format!("{} requests", thousands(number(history, "/requests")));
    out.line(out.bold(requests).then(format!(" in the last {}", age(length))))?;
    faults(history, out)?;
    let lost = number(history, "/lost");
    if lost > 0 {
        out.line(format!(
            "{} faults came too fast to be written down one by one; causes and phases are without them",
            thousands(lost)
        ))?;
    }
    what_happened(history, out)?;
    let again = number(history, "/replays");
    if again > 0 {
        let unknown = thousands(number(history, "/replays_unknown"));
        out.line(format!(
            "\n{:<10}  {:>9}  requests sent again, {unknown} of them of unknown fate",
            "replays",
            thousands(again)
        ))?;
    }
    latencies(history, &[("total", "total"), ("first byte", "first_byte")], out)?;
    over_time(history, now, out)?;
    newest(history, now, out)
}

/// The newest steps in which something happened.
fn over_time(history: &Value, now: u64, out: &mut Out) -> Outcome<()> {
    let buckets = history.get("buckets").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let shown = &buckets[buckets.len().saturating_sub(STEPS)..];
    for (index, bucket) in shown.iter().enumerate() {
        if index == 0 {
            let step = format!("{} from", age(number(history, "/step_ms")));
            out.line(format!("\n{step:<14}  {:>9} {:>9} {:>9} {:>11}", "requests", "rescued", "failed", "p99 ms"))?;
        }
        let cell = |path: &str| thousands(number(bucket, path));
        let ago = format!("{} ago", age(now.saturating_sub(number(bucket, "/at_unix_ms"))));
        let p99 = bucket.pointer("/latency_ms/first_byte/p99").and_then(Value::as_f64).unwrap_or_default();
        let (rescued, failed) = (cell("/rescued"), cell("/failed_total"));
        out.line(format!("{ago:<14}  {:>9} {rescued:>9} {failed:>9} {p99:>11.2}", cell("/requests")))?;
    }
    Ok(())
}

/// The newest single faults.
fn newest(history: &Value, now: u64, out: &mut Out) -> Outcome<()> {
    let faults = history.get("faults").and_then(Value::as_array).into_iter().flatten().take(NEWEST);
    for (index, fault) in faults.enumerate() {
        if index == 0 {
            out.line(format!(
                "\n{:<14}  {:<10} {:<20} {:<28} {:>7} {:>9}",
                "newest faults", "", "cause", "from, to", "attempt", "ms"
            ))?;
        }
        let word = |name: &str| fault.get(name).and_then(Value::as_str).unwrap_or("-");
        let became = if fault.get("retried").and_then(Value::as_bool) == Some(true) { "retried" } else { "failed" };
        let ago = format!("{} ago", age(now.saturating_sub(number(fault, "/at_unix_ms"))));
        let way = format!("{}, {}", word("agent"), word("upstream"));
        let (attempt, took) = (number(fault, "/attempt"), thousands(number(fault, "/took_ms")));
        out.line(format!("{ago:<14}  {became:<10} {:<20} {way:<28} {attempt:>7} {took:>9}", word("cause")))?;
    }
    Ok(())
}
