//! The ledger in good and in bad times: real files, real threads, clocks of milliseconds.

use super::{
    file::{self, StoreError},
    period::Period,
    *,
};
use crate::{
    health::{Condition, unix_ms},
    status::faults::{Cause, Fault},
    telemetry::Totals,
};
use rusqlite::Connection;
use std::{
    path::Path,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(20);

fn fault(at_unix_ms: u64, cause: Cause, retried: bool) -> Fault {
    let took = Duration::from_millis(7);
    Fault { at_unix_ms, agent: Some("claude-cli".into()), upstream: "default".into(), cause, retried, attempt: 2, took }
}

fn span(since: &str) -> Span {
    Span::last(humantime::parse_duration(since).unwrap(), unix_ms() + 1000)
}

/// A ledger that is being kept, with everything around it.
struct Kept {
    home: tempfile::TempDir,
    config: Config,
    health: Tracker,
    traffic: Arc<Traffic>,
    questions: mpsc::Sender<Question>,
    ledger: Ledger,
}

impl Kept {
    fn start(prepare: impl FnOnce(&Path, &mut Config)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut config = Config::under(home.path()).unwrap();
        std::fs::create_dir_all(&config.paths.state_dir).unwrap();
        prepare(&config.paths.ledger_file(), &mut config);
        let (health, traffic) = (Tracker::default(), Arc::new(Traffic::default()));
        let (questions, asked) = mpsc::channel(4);
        let intervals =
            Intervals { batch: Duration::from_millis(5), tick: Duration::from_millis(50), prune: Duration::from_millis(200) };
        let ledger = Ledger::start_at(intervals, &config, health.clone(), &traffic, asked);
        Self { home, config, health, traffic, questions, ledger }
    }

    fn ask(&self) -> Result<History, String> {
        let (reply, answer) = oneshot::channel();
        self.questions.blocking_send(Question { span: span("1h"), reply }).unwrap();
        answer.blocking_recv().unwrap()
    }

    fn count_retried(&self, count: usize) {
        for _ in 0..count {
            self.traffic.begin().count_retried(Cause::FreshReset, 1);
        }
    }

    fn condition(&self) -> Option<Condition> {
        self.health.visible().into_iter().find(|c| c.code == Code::LedgerUnusable)
    }

    fn end(self) -> (tempfile::TempDir, Config) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(self.ledger.end());
        (self.home, self.config)
    }

    /// Files in the state folder by name.
    fn files(&self) -> Vec<String> {
        names(&self.config.paths.state_dir)
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_happened_is_told_now_and_after_the_end() {
    let kept = Kept::start(|_, _| {});
    let mut ticket = kept.traffic.begin();
    ticket.from_agent("claude-cli");
    ticket.toward(kept.traffic.upstream("default"));
    ticket.count_retried(Cause::StalePooled, 1);
    ticket.failed_with(Cause::Certificate, 2);
    drop(ticket);
    let now = kept.ask().unwrap();
    #[cfg(unix)]
    for name in kept.files() {
        use std::os::unix::fs::PermissionsExt;
        let file = kept.config.paths.state_dir.join(&name);
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let (_home, config) = kept.end();
    assert_eq!(names(&config.paths.state_dir), ["ledger.sqlite"], "closed, and nothing beside it");
    let later = read(&config.paths, &span("1h")).unwrap().unwrap();
    for history in [now, later] {
        assert_eq!((history.counts.requests, history.counts.outcomes["client-gone"], history.lost), (1, 1, 0));
        assert_eq!((history.counts.retried_total, history.counts.failed_total), (1, 1));
        assert_eq!((history.retried["stale-pooled"], history.failed["certificate"]), (1, 1));
        assert_eq!((history.by_phase["pool"].retried, history.whose["company-proxy"]), (1, 1));
        assert_eq!((history.buckets.len(), history.buckets[0].counts.latency_ms.total.count), (1, 1));
        let [newest, oldest] = history.faults.as_slice() else { panic!("{:?}", history.faults) };
        assert_eq!((newest.cause.as_str(), newest.phase.as_str(), newest.retried), ("certificate", "handshake", false));
        assert_eq!((oldest.agent.as_deref(), oldest.upstream.as_str(), oldest.attempt), (Some("claude-cli"), "default", 1));
    }
}

#[test]
fn a_second_process_adds_to_the_same_minutes_and_knows_today() {
    let kept = Kept::start(|_, _| {});
    kept.count_retried(3);
    let (home, config) = kept.end();
    let from = config.paths.ledger_file();
    let kept = Kept::start(|to, _| {
        std::fs::copy(&from, to).unwrap();
    });
    drop(home);
    kept.count_retried(2);
    until("earlier processes are counted", || kept.traffic.snapshot().today.retried == 5);
    let history = kept.ask().unwrap();
    assert_eq!((history.counts.retried_total, history.retried["fresh-reset"], history.faults.len()), (5, 5, 5));
    assert_eq!(history.buckets.iter().map(|b| b.counts.requests).sum::<u64>(), 5);
}

/// A process that still drains, and the one after it.
#[test]
fn two_processes_may_write_at_once() {
    let kept = Kept::start(|_, _| {});
    kept.ask().unwrap();
    let (_questions, asked) = mpsc::channel(1);
    let traffic = Arc::new(Traffic::default());
    let other = Ledger::start(&kept.config, kept.health.clone(), &traffic, asked);
    for _ in 0..50 {
        kept.count_retried(1);
        traffic.begin().count_retried(Cause::Dns, 1);
    }
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(other.end());
    let history = kept.ask().unwrap();
    assert_eq!((history.retried["dns"], history.retried["fresh-reset"], history.counts.retried_total), (50, 50, 100));
}

/// Every kind of damage: the file is kept aside, a new one takes what comes, and nothing is wrong any more.
#[test]
fn a_damaged_file_is_set_aside_and_a_new_one_begun() {
    let sound = |file: &Path, change: &str| {
        let db = file::open(file).unwrap();
        db.execute_batch(change).unwrap();
    };
    let damages: [(&str, &dyn Fn(&Path)); 8] = [
        ("garbage", &|file| std::fs::write(file, [0xA5; 10_000]).unwrap()),
        ("a text", &|file| std::fs::write(file, "not a database").unwrap()),
        ("a newer version", &|file| sound(file, "PRAGMA user_version = 99")),
        ("a table is missing", &|file| sound(file, "DROP TABLE fault")),
        ("a column is missing", &|file| sound(file, "ALTER TABLE period DROP COLUMN lost")),
        ("somebody else's", &|file| Connection::open(file).unwrap().execute_batch("CREATE TABLE mine (a)").unwrap()),
        ("cut in half", &|file| {
            fill(file, 3000);
            let length = std::fs::metadata(file).unwrap().len();
            std::fs::File::options().write(true).open(file).unwrap().set_len(length / 2).unwrap();
        }),
        ("a page overwritten", &|file| {
            use std::io::{Seek, SeekFrom, Write};
            fill(file, 3000);
            let mut open = std::fs::File::options().write(true).open(file).unwrap();
            open.seek(SeekFrom::Start(4096)).unwrap();
            open.write_all(&[0xFF; 8192]).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let kept = Kept::start(|file, _| damage(file));
        kept.count_retried(1);
        let history = kept.ask().unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(history.counts.retried_total, 1, "{what}");
        assert_eq!(kept.condition(), None, "{what}");
        let aside = kept.files().iter().filter(|n| n.starts_with("ledger.corrupt-") && n.ends_with(".sqlite")).count();
        assert_eq!(aside, 1, "{what}: {:?}", kept.files());
    }
}

/// A sound ledger with so many faults, closed.
fn fill(file: &Path, count: u64) {
    let mut db = file::open(file).unwrap();
    let faults: Vec<_> = (0..count).map(|n| fault(unix_ms() - n, Cause::Dns, true)).collect();
    store::write(&mut db, &faults, Period::default(), unix_ms()).unwrap();
}

/// What a crash or a power cut does to the log beside the file is not damage: the rest is read.
#[test]
fn a_truncated_log_costs_its_last_entries_at_most() {
    let kept = Kept::start(|file, _| {
        let elsewhere = tempfile::tempdir().unwrap();
        let source = elsewhere.path().join("ledger.sqlite");
        let mut db = file::open(&source).unwrap();
        for n in 0..50 {
            store::write(&mut db, &[fault(unix_ms() - n, Cause::Dns, true)], Period::default(), unix_ms()).unwrap();
        }
        // As a killed process leaves them: the log is not in the file yet.
        std::fs::copy(&source, file).unwrap();
        let log = std::fs::read(source.with_extension("sqlite-wal")).unwrap();
        std::fs::write(file.with_extension("sqlite-wal"), &log[..log.len() / 2 + 13]).unwrap();
    });
    let known = kept.ask().unwrap().faults.len();
    assert!((1..50).contains(&known), "{known}");
    assert!(kept.files().iter().all(|n| !n.contains("corrupt")), "{:?}", kept.files());
}

#[test]
fn damage_that_is_found_while_it_is_used_is_no_different() {
    let kept = Kept::start(|_, _| {});
    kept.count_retried(1);
    kept.ask().unwrap();
    let other = Connection::open(kept.config.paths.ledger_file()).unwrap();
    other.execute_batch("DROP TABLE period").unwrap();
    drop(other);
    kept.count_retried(1);
    until("the new file has what was not written", || kept.ask().is_ok_and(|h| h.faults.len() == 1));
    assert_eq!(kept.condition(), None);
}

#[test]
fn only_two_damaged_files_are_kept() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("ledger.sqlite");
    for n in 0..4 {
        std::fs::write(&file, format!("{n}")).unwrap();
        std::fs::write(file.with_extension("sqlite-wal"), "log").unwrap();
        file::set_aside(&file, 1_700_000_000_000).unwrap();
    }
    let pair = |second| [format!("ledger.corrupt-{second}.sqlite"), format!("ledger.corrupt-{second}.sqlite-wal")];
    assert_eq!(names(home.path()), [pair(1_700_000_002u64), pair(1_700_000_003)].concat());
}

/// What the system refuses is reported, tried again, and over when the system lets us; what came meanwhile is written then.
#[test]
fn a_file_that_cannot_be_used_is_tried_again() {
    let kept = Kept::start(|file, _| std::fs::create_dir(file).unwrap());
    until("it is told", || kept.condition().is_some());
    let sentence = kept.condition().unwrap().sentence;
    assert!(sentence.contains("ledger.sqlite") && sentence.contains("tries again"), "{sentence}");
    kept.count_retried(300); // more than a batch
    assert!(kept.ask().unwrap_err().contains("not kept at the moment"));
    std::fs::remove_dir(kept.config.paths.ledger_file()).unwrap();
    until("it is well again", || kept.condition().is_none());
    let history = kept.ask().unwrap();
    assert_eq!((history.counts.retried_total, history.retried["fresh-reset"], history.lost), (300, 300, 0));
}

#[test]
fn a_locked_file_is_waited_for() {
    let kept = Kept::start(|_, _| {});
    kept.ask().unwrap();
    let other = Connection::open(kept.config.paths.ledger_file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    kept.count_retried(1);
    until("it is told", || kept.condition().is_some_and(|c| c.sentence.contains("locked")));
    other.execute_batch("ROLLBACK").unwrap();
    until("it is well again", || kept.condition().is_none());
    until("and was written", || kept.ask().is_ok_and(|h| h.faults.len() == 1));
}

#[test]
fn a_full_disk_is_no_damage() {
    let home = tempfile::tempdir().unwrap();
    let mut db = file::open(&home.path().join("ledger.sqlite")).unwrap();
    let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    let faults: Vec<_> = (0..1000).map(|n| fault(n, Cause::Dns, true)).collect();
    let refused = store::write(&mut db, &faults, Period::default(), 0).unwrap_err();
    assert_eq!(refused, StoreError::Unusable("the disk is full".into()));
    let rows: i64 = db.query_row("SELECT count(*) FROM fault", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0, "all of it or none");
}

#[test]
fn a_file_that_somebody_removes_is_begun_anew() {
    let kept = Kept::start(|_, _| {});
    kept.ask().unwrap();
    for name in kept.files() {
        // Windows keeps what is open.
        std::fs::remove_file(kept.config.paths.state_dir.join(name)).ok();
    }
    until("there is one again", || kept.config.paths.ledger_file().exists());
    kept.count_retried(1);
    assert_eq!(kept.ask().unwrap().faults.len(), 1);
}

#[test]
fn old_entries_go_and_young_ones_stay() {
    let home = tempfile::tempdir().unwrap();
    let mut db = file::open(&home.path().join("ledger.sqlite")).unwrap();
    let (now, day) = (unix_ms(), 86_400_000);
    for age in 0..10 {
        let totals = Totals { requests: 1, ..Totals::default() };
        let at = now - age * day;
        store::write(&mut db, &[fault(at, Cause::Dns, true)], Period::counted(&totals, 0), at).unwrap();
    }
    store::prune(&db, Duration::from_secs(4 * 86_400 - 3600), u64::MAX, now).unwrap();
    let history = read::history(&mut db, &span("30d")).unwrap();
    assert_eq!((history.faults.len(), history.counts.requests), (4, 4));
}

#[test]
fn the_file_keeps_to_its_size_and_the_oldest_go_first() {
    let size = 1 << 20;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ledger.sqlite");
    let mut db = file::open(&path).unwrap();
    let now = unix_ms();
    for batch in 0..40u64 {
        let faults: Vec<_> = (0..1000).map(|n| fault(now - 100_000 + batch * 1000 + n, Cause::Dns, true)).collect();
        store::write(&mut db, &faults, Period::default(), now).unwrap();
        if store::used(&db).unwrap() > size {
            store::prune(&db, Duration::from_secs(86_400), size, now).unwrap();
        }
    }
    let (rows, oldest): (i64, i64) =
        db.query_row("SELECT count(*), min(at) FROM fault", [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
    assert!((5_000..20_000).contains(&rows), "{rows}");
    assert_eq!(oldest.cast_unsigned(), now - 100_000 + 40_000 - rows.cast_unsigned(), "the newest are there without a gap");
    drop(db);
    assert!(std::fs::metadata(&path).unwrap().len() <= size + size / 4, "{:?}", std::fs::metadata(&path));
}

/// A listener that is too slow loses single faults, says so, and never a count.
#[test]
fn a_storm_is_counted_whole() {
    let kept = Kept::start(|_, _| {});
    kept.ask().unwrap();
    let other = Connection::open(kept.config.paths.ledger_file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    kept.count_retried(20_000);
    other.execute_batch("ROLLBACK").unwrap();
    until("it is written", || kept.ask().is_ok_and(|h| h.counts.retried_total == 20_000));
    let history = kept.ask().unwrap();
    let written = history.retried["fresh-reset"];
    assert_eq!(written + history.lost, 20_000);
    assert!(written >= 4096 && history.lost > 0, "{written} {}", history.lost);
}

#[test]
fn without_a_ledger_nothing_is_opened_until_it_is_wanted() {
    let kept = Kept::start(|_, config| config.ledger.enabled = false);
    kept.count_retried(1);
    assert!(kept.ask().unwrap_err().contains("ledger.enabled"));
    assert_eq!(kept.files(), [""; 0]);
    let mut config = kept.config.clone();
    config.ledger.enabled = true;
    kept.ledger.configure(&config);
    until("it is open", || kept.ask().is_ok());
    kept.count_retried(2);
    let history = kept.ask().unwrap();
    assert_eq!((history.counts.retried_total, history.faults.len()), (2, 2), "what happened before stays out");
    config.ledger.enabled = false;
    kept.ledger.configure(&config);
    until("it is closed", || kept.ask().is_err());
    assert_eq!(kept.files(), ["ledger.sqlite"], "what was kept stays");
    assert_eq!(kept.condition(), None);
}

#[test]
fn a_day_begins_at_midnight() {
    let (began, now) = (read::day_began().unwrap(), unix_ms());
    assert!(began <= now && now - began <= 25 * 3_600_000, "{began} {now}");
    assert_eq!(began % (15 * 60_000), 0, "time zones differ by quarters of an hour");
}

#[test]
fn without_a_file_there_is_no_history_and_a_damaged_one_is_named() {
    let home = tempfile::tempdir().unwrap();
    let paths = Config::under(home.path()).unwrap().paths;
    assert!(read(&paths, &span("1h")).unwrap().is_none());
    std::fs::create_dir_all(&paths.state_dir).unwrap();
    std::fs::write(paths.ledger_file(), "not a database").unwrap();
    let refused = read(&paths, &span("1h")).unwrap_err();
    assert!(refused.contains("ledger.sqlite") && refused.contains("damaged"), "{refused}");
    assert_eq!(std::fs::read_to_string(paths.ledger_file()).unwrap(), "not a database", "reading changes nothing");
}
