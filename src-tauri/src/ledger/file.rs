//! The ledger's file: opened, created, judged, and set aside when it is damaged. Knows no row of it.

use super::platform;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// `user_version` of the file; one that is not known here is not ours to guess at.
pub(super) const VERSION: i64 = 2;
/// Damaged files that are kept.
const KEPT_ASIDE: usize = 2;
/// A lock of another program is waited for this long.
const BUSY: Duration = Duration::from_secs(1);

/// `fault`: one row each; `retried` is 0 for the one that its request failed with. `period`: counts of five minutes, so that a
/// chart need not read every fault, and latencies as histograms, because percentiles of percentiles are none. There `rescued`
/// and `failed` count requests, and `retried` counts faults.
const SCHEMA: &str = "
    CREATE TABLE fault (
        at INTEGER NOT NULL,
        agent TEXT,
        upstream TEXT NOT NULL,
        phase TEXT NOT NULL,
        cause TEXT NOT NULL,
        whose TEXT NOT NULL,
        retried INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        took_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX fault_at ON fault (at);
    CREATE TABLE period (
        at INTEGER PRIMARY KEY,
        requests INTEGER NOT NULL,
        outcomes TEXT NOT NULL,
        retried INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        rescued INTEGER NOT NULL,
        replays INTEGER NOT NULL,
        replays_unknown INTEGER NOT NULL,
        lost INTEGER NOT NULL,
        total BLOB NOT NULL,
        first_byte BLOB NOT NULL
    ) STRICT;";

/// Version 1 counted faults where version 2 counts requests that failed: a tunnel that broke had no fault of its own.
const FAILED_1: &str =
    "max(passed_on, coalesce(json_extract(outcomes, '$.failed'), 0) + coalesce(json_extract(outcomes, '$.cut'), 0))";

/// Makes a file of version 1 one of version 2.
fn from_version_1() -> String {
    format!(
        "ALTER TABLE fault RENAME COLUMN absorbed TO retried;
         UPDATE period SET passed_on = {FAILED_1} WHERE json_valid(outcomes);
         ALTER TABLE period RENAME COLUMN absorbed TO retried;
         ALTER TABLE period RENAME COLUMN passed_on TO failed;"
    )
}

/// Shows a file of version 1 as one of version 2, without writing: views of this connection alone, which go before its tables.
fn as_of_version_1() -> String {
    format!(
        "CREATE TEMP VIEW fault AS SELECT rowid, at, agent, upstream, phase, cause, whose, absorbed AS retried, attempt, took_ms FROM main.fault;
         CREATE TEMP VIEW period AS SELECT at, requests, outcomes, absorbed AS retried,
            CASE WHEN json_valid(outcomes) THEN {FAILED_1} ELSE passed_on END AS failed,
            rescued, replays, replays_unknown, lost, total, first_byte FROM main.period;"
    )
}

/// Every column that is read or written, by version; a file without one of them is not ours.
const SHAPES: [(i64, [&str; 2]); 2] = [
    (
        1,
        [
            "SELECT at, agent, upstream, phase, cause, whose, absorbed, attempt, took_ms FROM fault",
            "SELECT at, requests, outcomes, absorbed, passed_on, rescued, replays, replays_unknown, lost, total, first_byte FROM period",
        ],
    ),
    (
        VERSION,
        [
            "SELECT at, agent, upstream, phase, cause, whose, retried, attempt, took_ms FROM fault",
            "SELECT at, requests, outcomes, retried, failed, rescued, replays, replays_unknown, lost, total, first_byte FROM period",
        ],
    ),
];

/// Why the file cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StoreError {
    /// What it holds makes no sense: it is set aside.
    Damaged(String),
    /// It may be sound, and the system does not let us: tried again.
    Unusable(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Damaged(why) | Self::Unusable(why) => f.write_str(why),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        let Some(code) = e.sqlite_error_code() else { return Self::Damaged(e.to_string()) };
        match code {
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => {
                Self::Damaged(e.to_string())
            }
            // "no such table" has no code of its own.
            ErrorCode::Unknown => Self::Damaged(e.to_string()),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Unusable("another program holds it locked".into()),
            ErrorCode::DiskFull => Self::Unusable("the disk is full".into()),
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::Unusable("it cannot be written".into()),
            ErrorCode::CannotOpen => Self::Unusable("it cannot be opened".into()),
            _ => Self::Unusable(e.to_string()),
        }
    }
}

/// Opens the file for writing, and creates it where there is none. Reads all of it once, to find damage now and not in
/// the middle of a question.
pub(super) fn open(file: &Path) -> Result<Connection, StoreError> {
    platform::make_private(file).map_err(|e| StoreError::Unusable(e.to_string()))?;
    let mut db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    if version(&db)? == 0 {
        // Both are properties of the file that only an empty one takes.
        db.pragma_update(None, "auto_vacuum", "incremental")?;
        write_ahead(&db)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been faster.
        if version(&tx)? == 0 {
            let tables: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if tables > 0 {
                return Err(StoreError::Damaged("it is a database of another program".into()));
            }
            tx.execute_batch(SCHEMA)?;
            tx.pragma_update(None, "user_version", VERSION)?;
        }
        tx.commit()?;
    }
    if judge(&db)? == 1 {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been faster.
        if version(&tx)? == 1 {
            tx.execute_batch(&from_version_1())?;
            tx.pragma_update(None, "user_version", VERSION)?;
        }
        tx.commit()?;
        judge(&db)?;
    }
    let verdict: String = db.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if verdict != "ok" {
        return Err(StoreError::Damaged(verdict));
    }
    write_ahead(&db)?;
    // With a write-ahead log this survives a crash of the process whole, and a power cut but for the last moments.
    db.pragma_update(None, "synchronous", "normal")?;
    // In pages of 4 KiB, and bytes: what the log may grow to, and what is left of it.
    db.pragma_update(None, "wal_autocheckpoint", 256)?;
    db.pragma_update(None, "journal_size_limit", 1 << 20)?;
    // In KiB: the memory that idles.
    db.pragma_update(None, "cache_size", -512)?;
    // Whether it can be written shows now, even when there is nothing to write yet.
    db.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
    Ok(db)
}

/// Opens the file without changing it; `None` when there is none.
pub(super) fn open_to_read(file: &Path) -> Result<Option<Connection>, StoreError> {
    match file.try_exists() {
        Ok(false) => return Ok(None),
        Ok(true) => {}
        Err(e) => return Err(StoreError::Unusable(e.to_string())),
    }
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    if judge(&db)? == 1 {
        db.execute_batch(&as_of_version_1())?;
    }
    Ok(Some(db))
}

fn version(db: &Connection) -> Result<i64, StoreError> {
    Ok(db.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// The version of a file whose tables are the ledger's.
fn judge(db: &Connection) -> Result<i64, StoreError> {
    let found = version(db)?;
    let Some((_, shape)) = SHAPES.iter().find(|(version, _)| *version == found) else {
        return Err(StoreError::Damaged(format!("its version is {found}, and this Leeward knows {VERSION}")));
    };
    for query in shape {
        db.prepare(query).map_err(|e| match StoreError::from(e) {
            StoreError::Damaged(_) => StoreError::Damaged("its tables are not the ledger's".into()),
            unusable => unusable,
        })?;
    }
    Ok(found)
}

fn write_ahead(db: &Connection) -> Result<(), StoreError> {
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode == "wal" { Ok(()) } else { Err(StoreError::Unusable(format!("its file system takes no write-ahead log ({mode})"))) }
}

/// Renames a damaged file to `ledger.corrupt-UNIXTIME.sqlite` with its log, and removes all but the newest such files.
pub(super) fn set_aside(file: &Path, now_unix_ms: u64) -> io::Result<PathBuf> {
    let mut kept = aside(file)?;
    // Two within a second, or a clock that was set back: the newest has the largest number all the same.
    let second = kept.last().map_or(0, |(newest, _)| newest.saturating_add(1)).max(now_unix_ms / 1000);
    let aside = file.with_file_name(format!("ledger.corrupt-{second}.sqlite"));
    std::fs::rename(file, &aside)?;
    // Rebuilt from the log when somebody opens it; left where it is, it would meet the new file.
    remove(&beside(file, "-shm"))?;
    match std::fs::rename(beside(file, "-wal"), beside(&aside, "-wal")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    kept.push((second, aside.clone()));
    for (_, old) in kept.iter().rev().skip(KEPT_ASIDE) {
        for path in [old.clone(), beside(old, "-wal"), beside(old, "-shm")] {
            remove(&path)?;
        }
    }
    Ok(aside)
}

/// What was set aside, oldest first.
fn aside(file: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in file.parent().map(std::fs::read_dir).transpose()?.into_iter().flatten() {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let second = name.strip_prefix("ledger.corrupt-").and_then(|n| n.strip_suffix(".sqlite"));
        if let Some(Ok(second)) = second.map(str::parse::<u64>) {
            found.push((second, path));
        }
    }
    found.sort();
    Ok(found)
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.file_name().map_or_else(OsString::new, OsString::from);
    name.push(suffix);
    file.with_file_name(name)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
