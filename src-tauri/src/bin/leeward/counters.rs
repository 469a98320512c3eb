//! Counters as lines of a terminal, for this moment and for a span of the history. Asks nobody for them.

use crate::{exit::Outcome, out::Out};
use leeward::view::{faults_sentence, thousands};
use serde_json::Value;

/// Outcomes and faults, by cause and by phase.
pub(crate) fn what_happened(stats: &Value, out: &mut Out) -> Outcome<()> {
    table(stats, "/outcomes", "outcome", out)?;
    table(stats, "/retried", "retried", out)?;
    table(stats, "/failed", "failed", out)?;
    phases(stats, out)
}

/// Percentiles by name.
pub(crate) fn latencies(stats: &Value, rows: &[(&str, &str)], out: &mut Out) -> Outcome<()> {
    out.line(format!("\n{:<10}  {:>9} {:>9} {:>9} {:>9}", "latency ms", "p50", "p90", "p99", "max"))?;
    for (label, name) in rows {
        let cell = |key: &str| stats.pointer(&format!("/latency_ms/{name}/{key}")).and_then(Value::as_f64).unwrap_or_default();
        out.line(format!("{label:<10}  {:>9.2} {:>9.2} {:>9.2} {:>9.2}", cell("p50"), cell("p90"), cell("p99"), cell("max")))?;
    }
    Ok(())
}

/// What became of requests that met faults, in one sentence, and how many of them are of today.
pub(crate) fn faults(stats: &Value, out: &mut Out) -> Outcome<()> {
    let whose = stats.get("whose").and_then(Value::as_object);
    let whose: Vec<_> = whose.into_iter().flatten().filter_map(|(name, n)| Some((name.as_str(), n.as_u64()?))).collect();
    let [rescued, failed, retried] = ["/rescued", "/failed_total", "/retried_total"].map(|path| number(stats, path));
    let mut sentence = faults_sentence(rescued, failed, retried, &whose);
    if stats.get("today").is_some() {
        let today = ["/today/rescued", "/today/failed"].map(|path| thousands(number(stats, path)));
        sentence.push_str(&format!("; today {} rescued, {} failed", today[0], today[1]));
    }
    out.line(sentence)?;
    Ok(())
}

/// The phases in which faults struck.
fn phases(stats: &Value, out: &mut Out) -> Outcome<()> {
    let map = stats.get("by_phase").and_then(Value::as_object).into_iter().flatten();
    let rows = map.map(|(name, count)| (name, number(count, "/retried"), number(count, "/failed")));
    for (index, (name, retried, failed)) in rows.filter(|(_, a, p)| a + p > 0).enumerate() {
        if index == 0 {
            out.line(format!("\n{:<14}  {:>9} {:>9}", "phase", "retried", "failed"))?;
        }
        out.line(format!("{name:<14}  {:>9} {:>9}", thousands(retried), thousands(failed)))?;
    }
    Ok(())
}

/// The non-zero counters of a map, most first.
pub(crate) fn table(stats: &Value, path: &str, label: &str, out: &mut Out) -> Outcome<()> {
    let map = stats.pointer(path).and_then(Value::as_object);
    let mut rows: Vec<(&String, u64)> = map.into_iter().flatten().filter_map(|(name, n)| Some((name, n.as_u64()?))).collect();
    rows.retain(|(_, count)| *count > 0);
    rows.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    for (index, (name, count)) in rows.into_iter().enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        let label = if index == 0 { label } else { "" };
        out.line(format!("{gap}{label:<10}  {:>9}  {name}", thousands(count)))?;
    }
    Ok(())
}

/// One counter, by its path; 0 where there is none.
pub(crate) fn number(value: &Value, path: &str) -> u64 {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    value.pointer(&path).and_then(Value::as_u64).unwrap_or_default()
}
