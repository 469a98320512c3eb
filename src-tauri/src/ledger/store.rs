//! What is written into the ledger and what is removed from it. Blocks; decides neither when nor where.

use super::{file::StoreError, period::Period};
use crate::status::{faults::Fault, history::PERIOD_MS};
use rusqlite::{Connection, TransactionBehavior, named_params};
use std::time::Duration;

/// Rows that are removed in one transaction, so that the write-ahead log stays small.
const CHUNK: i64 = 1000;

/// Faults and counts, all of them or none.
pub(super) fn write(db: &mut Connection, faults: &[Fault], counted: Period, now_unix_ms: u64) -> Result<(), StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut put = tx.prepare(
            "INSERT INTO fault (at, agent, upstream, phase, cause, whose, retried, attempt, took_ms)
             VALUES (:at, :agent, :upstream, :phase, :cause, :whose, :retried, :attempt, :took_ms)",
        )?;
        for fault in faults {
            put.execute(named_params! {
                ":at": fault.at_unix_ms.cast_signed(),
                ":agent": fault.agent,
                ":upstream": fault.upstream,
                ":phase": fault.cause.phase().as_str(),
                ":cause": fault.cause.as_str(),
                ":whose": fault.cause.whose().as_str(),
                ":retried": fault.retried,
                ":attempt": fault.attempt,
                ":took_ms": i64::try_from(fault.took.as_millis()).unwrap_or(i64::MAX),
            })?;
        }
    }
    counted.write(&tx, (now_unix_ms - now_unix_ms % PERIOD_MS).cast_signed())?;
    tx.commit()?;
    Ok(())
}

/// Bytes in use, of the file and not of its log.
pub(super) fn used(db: &Connection) -> Result<u64, StoreError> {
    let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
    Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
}

/// Removes what is older than `keep`, then the oldest of what is more than `size`; gives the space back.
///
/// Single faults go before counts: the counts are small, and show the same over a longer time.
pub(super) fn prune(db: &Connection, keep: Duration, size: u64, now_unix_ms: u64) -> Result<(), StoreError> {
    let oldest = now_unix_ms.saturating_sub(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX)).cast_signed();
    let mut removed = 0;
    for table in ["fault", "period"] {
        while remove(db, table, oldest)? > 0 {
            removed += 1;
        }
    }
    if used(db)? > size {
        // Some room, so that the next fault does not make it too large again.
        let wanted = size / 10 * 9;
        for table in ["fault", "period"] {
            while used(db)? > wanted && remove(db, table, i64::MAX)? > 0 {
                removed += 1;
            }
        }
    }
    if removed > 0 {
        // A statement that yields a row for each page: it has to be read to its end.
        let mut vacuum = db.prepare("PRAGMA incremental_vacuum")?;
        let mut pages = vacuum.query([])?;
        while pages.next()?.is_some() {}
        drop(pages);
        let mut checkpoint = db.prepare("PRAGMA wal_checkpoint(truncate)")?;
        checkpoint.query_row([], |_| Ok(()))?;
    }
    Ok(())
}

/// Removes a chunk of the oldest rows that are older than a moment; how many there were.
fn remove(db: &Connection, table: &str, before: i64) -> Result<usize, StoreError> {
    let rows = format!("SELECT rowid FROM {table} WHERE at < ? ORDER BY at LIMIT {CHUNK}");
    Ok(db.execute(&format!("DELETE FROM {table} WHERE rowid IN ({rows})"), [before])?)
}
