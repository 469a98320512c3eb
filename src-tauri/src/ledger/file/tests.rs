//! What a file's errors mean, and files of older versions.

use super::{StoreError, open, open_to_read, version};
use crate::{ledger::read, status::history::Span};
use rusqlite::Connection;
use std::path::Path;

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

/// As version 1 made it (0.1.0 before requests were counted), with rows of it.
fn version_1(file: &Path) {
    let db = Connection::open(file).unwrap();
    db.execute_batch(
        "PRAGMA auto_vacuum = incremental;
         CREATE TABLE fault (at INTEGER NOT NULL, agent TEXT, upstream TEXT NOT NULL, phase TEXT NOT NULL, cause TEXT NOT NULL, whose TEXT NOT NULL, absorbed INTEGER NOT NULL, attempt INTEGER NOT NULL, took_ms INTEGER NOT NULL) STRICT;
         CREATE INDEX fault_at ON fault (at);
         CREATE TABLE period (at INTEGER PRIMARY KEY, requests INTEGER NOT NULL, outcomes TEXT NOT NULL, absorbed INTEGER NOT NULL, passed_on INTEGER NOT NULL, rescued INTEGER NOT NULL, replays INTEGER NOT NULL, replays_unknown INTEGER NOT NULL, lost INTEGER NOT NULL, total BLOB NOT NULL, first_byte BLOB NOT NULL) STRICT;
         PRAGMA user_version = 1;
         INSERT INTO fault VALUES (7, 'claude-cli', 'default', 'wait', 'fresh-reset', 'api-edge', 1, 1, 20);
         INSERT INTO fault VALUES (8, 'claude-cli', 'default', 'connect', 'connect', 'network', 0, 3, 90);
         INSERT INTO period VALUES (0, 10, '{\"answered\":6,\"failed\":1,\"cut\":2,\"client-gone\":1}', 5, 2, 4, 3, 1, 0, x'', x'');
         INSERT INTO period VALUES (300000, 1, 'no json', 0, 1, 0, 0, 0, 0, x'', x'');",
    )
    .unwrap();
}

#[test]
fn a_file_of_version_1_is_read_as_it_is_and_becomes_one_of_version_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.sqlite");
    version_1(&file);
    let span = Span { since_unix_ms: 0, until_unix_ms: 900_000, step_ms: 300_000, faults: 9 };
    let look = |db: &mut Connection| {
        let history = read::history(db, &span).unwrap();
        let buckets: Vec<_> = history.buckets.iter().map(|b| (b.counts.rescued, b.counts.failed_total)).collect();
        // Three failed or were cut, and two faults are known of them; where the outcomes cannot be read, the faults count.
        assert_eq!(buckets, [(4, 3), (0, 1)]);
        assert_eq!((history.counts.requests, history.counts.retried_total, history.counts.replays), (11, 5, 3));
        let faults: Vec<_> = history.faults.iter().map(|f| (f.cause.as_str(), f.retried, f.attempt)).collect();
        assert_eq!(faults, [("connect", false, 3), ("fresh-reset", true, 1)]);
        let today = read::counted_since(db, 0).unwrap();
        assert_eq!((today.requests, today.rescued, today.failed, today.retried), (11, 4, 4, 5));
    };
    let mut db = open_to_read(&file).unwrap().unwrap();
    look(&mut db);
    assert_eq!(version(&db).unwrap(), 1, "who only reads changes nothing");
    drop(db);
    for _ in 0..2 {
        let mut db = open(&file).unwrap();
        assert_eq!(version(&db).unwrap(), 2);
        look(&mut db);
    }
    look(&mut open_to_read(&file).unwrap().unwrap());
}
