//! Answers questions from the ledger. Reads only.

use super::{file::StoreError, period::Period};
use crate::status::{
    history::{Bucket, Entry, History, Span},
    stats::FaultCount,
};
use rusqlite::{Connection, TransactionBehavior};
use std::collections::BTreeMap;

/// The history of a span, all of it as of one moment.
pub(super) fn history(db: &mut Connection, span: &Span) -> Result<History, StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let within = [span.since_unix_ms.cast_signed(), span.until_unix_ms.cast_signed()];
    let mut all = Period::default();
    let mut buckets = Vec::new();
    let mut step = (0, Period::default());
    let mut finish = |(number, period): (u64, Period)| {
        if !period.is_empty() {
            buckets.push(Bucket { at_unix_ms: span.since_unix_ms + number * span.step_ms, counts: period.counts() });
        }
    };
    let mut periods = tx.prepare("SELECT * FROM period WHERE at >= ? AND at < ? ORDER BY at")?;
    let mut rows = periods.query(within)?;
    while let Some(row) = rows.next()? {
        let number = (row.get::<_, i64>("at")?.cast_unsigned() - span.since_unix_ms) / span.step_ms;
        if number != step.0 {
            finish(std::mem::replace(&mut step, (number, Period::default())));
        }
        all.add(row)?;
        step.1.add(row)?;
    }
    finish(step);
    let (mut absorbed, mut passed_on, mut whose) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut by_phase: BTreeMap<String, FaultCount> = BTreeMap::new();
    let mut groups = tx.prepare(
        "SELECT cause, phase, whose, absorbed, count(*) FROM fault WHERE at >= ? AND at < ? GROUP BY cause, phase, whose, absorbed",
    )?;
    let mut rows = groups.query(within)?;
    while let Some(row) = rows.next()? {
        let (unseen, count) = (row.get::<_, bool>(3)?, row.get::<_, i64>(4)?.cast_unsigned());
        let phase = by_phase.entry(row.get(1)?).or_default();
        if unseen {
            phase.absorbed += count;
            *absorbed.entry(row.get(0)?).or_default() += count;
        } else {
            phase.passed_on += count;
            *passed_on.entry(row.get(0)?).or_default() += count;
            *whose.entry(row.get(2)?).or_default() += count;
        }
    }
    Ok(History {
        since_unix_ms: span.since_unix_ms,
        until_unix_ms: span.until_unix_ms,
        step_ms: span.step_ms,
        lost: all.lost,
        counts: all.counts(),
        absorbed,
        passed_on,
        by_phase,
        whose,
        buckets,
        faults: faults(&tx, within, span.faults)?,
    })
}

/// The newest single faults.
fn faults(db: &Connection, within: [i64; 2], limit: usize) -> Result<Vec<Entry>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut find = db.prepare("SELECT * FROM fault WHERE at >= ? AND at < ? ORDER BY at DESC, rowid DESC LIMIT ?")?;
    let entries = find.query_map([within[0], within[1], limit], |row| {
        Ok(Entry {
            at_unix_ms: row.get::<_, i64>("at")?.cast_unsigned(),
            agent: row.get("agent")?,
            upstream: row.get("upstream")?,
            phase: row.get("phase")?,
            cause: row.get("cause")?,
            whose: row.get("whose")?,
            absorbed: row.get("absorbed")?,
            attempt: row.get("attempt")?,
            took_ms: row.get::<_, i64>("took_ms")?.cast_unsigned(),
        })
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}

/// Faults from a moment on, as they were counted.
pub(super) fn faults_since(db: &Connection, since_unix_ms: u64) -> Result<FaultCount, StoreError> {
    let query = "SELECT coalesce(sum(absorbed), 0), coalesce(sum(passed_on), 0) FROM period WHERE at >= ?";
    let number = |n: i64| n.cast_unsigned();
    Ok(db.query_row(query, [since_unix_ms.cast_signed()], |row| {
        Ok(FaultCount { absorbed: number(row.get(0)?), passed_on: number(row.get(1)?) })
    })?)
}

/// When the present day began by this machine's clock and time zone, in milliseconds since 1970; needs no file.
pub(super) fn day_began() -> Result<u64, StoreError> {
    let db = Connection::open_in_memory()?;
    let seconds: i64 = db.query_row("SELECT unixepoch('now', 'localtime', 'start of day', 'utc')", [], |row| row.get(0))?;
    Ok(u64::try_from(seconds).unwrap_or_default() * 1000)
}
