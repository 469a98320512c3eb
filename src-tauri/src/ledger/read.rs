//! Answers questions from the ledger. Reads only.

use super::{file::StoreError, period::Period};
use crate::status::{
    history::{Bucket, Entry, History, Span},
    stats::{FaultCount, Today},
};
use rusqlite::{Connection, TransactionBehavior};
use std::collections::BTreeMap;

/// Causes and phases that an older version wrote under another name, and the name of today.
const RENAMED: [(&str, &str); 2] = [("cut-while-held", "cut-while-buffered"), ("answer", "response")];

/// The name of today for a stored one.
fn present(stored: String) -> String {
    RENAMED.iter().find(|(old, _)| *old == stored).map_or(stored, |(_, new)| (*new).to_owned())
}

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
    let (mut retried, mut failed, mut whose) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut by_phase: BTreeMap<String, FaultCount> = BTreeMap::new();
    let mut groups = tx.prepare(
        "SELECT cause, phase, whose, retried, count(*) FROM fault WHERE at >= ? AND at < ? GROUP BY cause, phase, whose, retried",
    )?;
    let mut rows = groups.query(within)?;
    while let Some(row) = rows.next()? {
        let (was_retried, count) = (row.get::<_, bool>(3)?, row.get::<_, i64>(4)?.cast_unsigned());
        let (cause, phase) = (present(row.get(0)?), present(row.get(1)?));
        let phase = by_phase.entry(phase).or_default();
        if was_retried {
            phase.retried += count;
            *retried.entry(cause).or_default() += count;
        } else {
            phase.failed += count;
            *failed.entry(cause).or_default() += count;
            *whose.entry(row.get(2)?).or_default() += count;
        }
    }
    Ok(History {
        since_unix_ms: span.since_unix_ms,
        until_unix_ms: span.until_unix_ms,
        step_ms: span.step_ms,
        lost: all.lost,
        counts: all.counts(),
        retried,
        failed,
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
            phase: present(row.get("phase")?),
            cause: present(row.get("cause")?),
            whose: row.get("whose")?,
            retried: row.get("retried")?,
            attempt: row.get("attempt")?,
            took_ms: row.get::<_, i64>("took_ms")?.cast_unsigned(),
        })
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}

/// What became of requests from a moment on.
pub(super) fn counted_since(db: &Connection, since_unix_ms: u64) -> Result<Today, StoreError> {
    let query = "SELECT total(requests), total(rescued), total(failed), total(retried) FROM period WHERE at >= ?";
    // `total` yields a float, and no error where the sum is too large.
    let number = |n: f64| n.max(0.0) as u64;
    Ok(db.query_row(query, [since_unix_ms.cast_signed()], |row| {
        let [requests, rescued, failed, retried] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?].map(number);
        Ok(Today { requests, rescued, failed, retried })
    })?)
}

/// When the present day began by this machine's clock and time zone, in milliseconds since 1970; needs no file.
pub(super) fn day_began() -> Result<u64, StoreError> {
    let db = Connection::open_in_memory()?;
    let seconds: i64 = db.query_row("SELECT unixepoch('now', 'localtime', 'start of day', 'utc')", [], |row| row.get(0))?;
    Ok(u64::try_from(seconds).unwrap_or_default() * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{file, store},
        status::faults::{Cause, Fault},
    };
    use std::time::Duration;

    #[test]
    fn names_that_an_older_version_wrote_are_read_as_those_of_today() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = file::open(&folder.path().join("ledger.sqlite")).unwrap();
        let fault = |cause, retried| {
            let (agent, upstream, took) = (None, "default".to_owned(), Duration::from_millis(7));
            Fault { at_unix_ms: 1, agent, upstream, cause, retried, attempt: 1, took }
        };
        let faults = [fault(Cause::CutWhileBuffered, false), fault(Cause::FreshReset, true)];
        store::write(&mut db, &faults, Period::default(), 1).unwrap();
        let older = "UPDATE fault SET cause = 'cut-while-held', phase = 'answer' WHERE cause = 'cut-while-buffered'";
        assert_eq!(db.execute(older, []).unwrap(), 1);
        let span = Span { since_unix_ms: 0, until_unix_ms: 2, step_ms: 1, faults: 9 };
        let history = history(&mut db, &span).unwrap();
        assert_eq!((history.failed["cut-while-buffered"], history.by_phase["response"].failed), (1, 1));
        assert_eq!((history.retried["fresh-reset"], history.by_phase["wait"].retried), (1, 1), "other names stay");
        let names: Vec<_> = history.faults.iter().map(|f| (f.cause.as_str(), f.phase.as_str())).collect();
        assert_eq!(names, [("fresh-reset", "wait"), ("cut-while-buffered", "response")]);
    }
}
