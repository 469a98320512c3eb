//! The ledger's file: opened, created, judged, and set aside when it is damaged. Knows no row of it.

use super::platform;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// `user_version` of the file; another one is not ours to guess at.
pub(super) const VERSION: i64 = 1;
/// Damaged files that are kept.
const KEPT_ASIDE: usize = 2;
/// A lock of another program is waited for this long.
const BUSY: Duration = Duration::from_secs(1);

/// `fault`: one row each. `period`: counts of five minutes, so that a chart need not read every fault, and latencies as
/// histograms, because percentiles of percentiles are none.
///
/// Files of users have these columns, so two keep the names of an older version: `absorbed` is what the code calls
/// `retried`, `passed_on` is `failed`.
const SCHEMA: &str = "
    CREATE TABLE fault (
        at INTEGER NOT NULL,
        agent TEXT,
        upstream TEXT NOT NULL,
        phase TEXT NOT NULL,
        cause TEXT NOT NULL,
        whose TEXT NOT NULL,
        absorbed INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        took_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX fault_at ON fault (at);
    CREATE TABLE period (
        at INTEGER PRIMARY KEY,
        requests INTEGER NOT NULL,
        outcomes TEXT NOT NULL,
        absorbed INTEGER NOT NULL,
        passed_on INTEGER NOT NULL,
        rescued INTEGER NOT NULL,
        replays INTEGER NOT NULL,
        replays_unknown INTEGER NOT NULL,
        lost INTEGER NOT NULL,
        total BLOB NOT NULL,
        first_byte BLOB NOT NULL
    ) STRICT;";

/// Every column that is read or written; a file without one of them is not ours.
const SHAPE: [&str; 2] = [
    "SELECT at, agent, upstream, phase, cause, whose, absorbed, attempt, took_ms FROM fault",
    "SELECT at, requests, outcomes, absorbed, passed_on, rescued, replays, replays_unknown, lost, total, first_byte FROM period",
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
    judge(&db)?;
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
    judge(&db)?;
    Ok(Some(db))
}

fn version(db: &Connection) -> Result<i64, StoreError> {
    Ok(db.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

fn judge(db: &Connection) -> Result<(), StoreError> {
    let found = version(db)?;
    if found != VERSION {
        return Err(StoreError::Damaged(format!("its version is {found}, and this Leeward knows {VERSION}")));
    }
    for query in SHAPE {
        db.prepare(query).map_err(|e| match StoreError::from(e) {
            StoreError::Damaged(_) => StoreError::Damaged("its tables are not the ledger's".into()),
            unusable => unusable,
        })?;
    }
    Ok(())
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
mod tests {
    use super::StoreError;

    /// A file that could not be looked into for a shortage is as sound as it was: setting it aside would lose the history.
    #[test]
    fn a_shortage_is_no_damage() {
        use rusqlite::ffi::{self, Error};
        let short = [ffi::SQLITE_CANTOPEN, ffi::SQLITE_NOMEM, ffi::SQLITE_FULL, ffi::SQLITE_IOERR, ffi::SQLITE_IOERR_NOMEM];
        let rows =
            short.map(|code| (code, false)).into_iter().chain([ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB].map(|code| (code, true)));
        for (code, damaged) in rows {
            let judged = StoreError::from(rusqlite::Error::SqliteFailure(Error::new(code), None));
            assert_eq!(matches!(judged, StoreError::Damaged(_)), damaged, "{code}: {judged:?}");
        }
    }
}
