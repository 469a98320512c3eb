//! The lock, the record and the token, on a real folder.

use super::*;
use crate::config::Paths;
use record::keeps_record;
use std::{io, sync::atomic::Ordering::Relaxed, time::Duration};

fn home() -> (tempfile::TempDir, Paths) {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::under(dir.path());
    (dir, paths)
}

#[test]
fn only_one_process_serves_from_a_state_folder() {
    let (_dir, paths) = home();
    let lock = Lock::acquire(&paths).unwrap();
    let record = Record { pid: 7, address: "127.0.0.1:8787".parse().unwrap(), version: "1".into(), started_unix_ms: 1 };
    write_record(&paths, &record).unwrap();
    let refused = Lock::acquire(&paths).unwrap_err();
    assert_eq!(refused.to_string(), "another Leeward is already serving on 127.0.0.1:8787 (pid 7, version 1)");
    drop(lock);
    Lock::acquire(&paths).unwrap();
}

#[test]
fn a_record_is_whole_or_absent() {
    let (_dir, paths) = home();
    assert_eq!(read_record(&paths), None);
    std::fs::create_dir_all(&paths.state_dir).unwrap();
    std::fs::write(paths.instance_file(), "{\"pid\": 7, \"addr").unwrap();
    assert_eq!(read_record(&paths), None, "half a file is no record");
    let other = Record { pid: 1, address: "[::1]:8787".parse().unwrap(), version: "1".into(), started_unix_ms: 1 };
    write_record(&paths, &other).unwrap();
    remove_record(&paths);
    assert_eq!(read_record(&paths), Some(other), "whoever has taken over is still found");
    let record =
        Record { pid: std::process::id(), address: "[::1]:8787".parse().unwrap(), version: "1".into(), started_unix_ms: 1 };
    write_record(&paths, &record).unwrap();
    assert_eq!(read_record(&paths), Some(record));
    remove_record(&paths);
    remove_record(&paths);
    assert_eq!(read_record(&paths), None);
    assert_eq!(std::fs::read_dir(&paths.state_dir).unwrap().count(), 0, "no temporary file stays behind");
}

/// A record that could not be read for a shortage may be the one of the process that has taken over.
#[test]
fn a_record_that_could_not_be_read_stays() {
    #[cfg(unix)]
    let (short, other) = {
        use rustix::io::Errno;
        (Errno::MFILE.raw_os_error(), Errno::NOENT.raw_os_error())
    };
    #[cfg(windows)]
    let (short, other) = (4, 2);
    let rows =
        [(Ok(&b"{}"[..]), true, true), (Ok(&b"{}"[..]), false, false), (Err(short), false, true), (Err(other), false, false)];
    for (read, others, kept) in rows {
        let read = read.map_err(io::Error::from_raw_os_error);
        assert_eq!(keeps_record(read.as_deref(), |_| others), kept, "{read:?}, others: {others}");
    }
}

#[test]
fn the_token_is_new_at_each_start_and_private() {
    let (_dir, paths) = home();
    assert!(matches!(read_token(&paths), Err(TokenError::Missing(_))));
    let token = create_token(&paths).unwrap();
    assert!(read_token(&paths).unwrap().matches(token.reveal()));
    assert_eq!(token.reveal().len(), 64);
    std::fs::write(paths.token_file(), "short").unwrap();
    assert!(matches!(read_token(&paths), Err(TokenError::Damaged(_))));
    let next = create_token(&paths).unwrap();
    assert!(!next.matches(token.reveal()));
    assert!(read_token(&paths).unwrap().matches(next.reveal()));
}

/// It is of a process that is gone.
#[test]
fn whoever_gets_the_lock_removes_the_record_that_lies_there() {
    let (_dir, paths) = home();
    let lock = Lock::acquire(&paths).unwrap();
    let record = Record { pid: 7, address: "127.0.0.1:8787".parse().unwrap(), version: "1".into(), started_unix_ms: 1 };
    write_record(&paths, &record).unwrap();
    assert!(Lock::acquire(&paths).is_err());
    assert_eq!(read_record(&paths), Some(record), "its process serves");
    drop(lock);
    let _lock = Lock::acquire(&paths).unwrap();
    assert_eq!(read_record(&paths), None);
}

#[cfg(unix)]
#[test]
fn a_token_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, paths) = home();
    create_token(&paths).unwrap();
    std::fs::set_permissions(paths.token_file(), PermissionsExt::from_mode(0o644)).unwrap();
    let refused = read_token(&paths).unwrap_err();
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
}

#[test]
fn the_holder_of_a_port_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Its program is not called `leeward`, so it is no wrap whatever a file says.
    let entry = HolderEntry { pid: std::process::id(), door: "nowhere".into(), port: None };
    for wraps in [&[][..], &[entry]] {
        let holder = holder_of(address, wraps);
        assert!(!holder.is_wrap, "{holder}");
        if cfg!(target_os = "linux") {
            assert_eq!(holder.pid, Some(std::process::id()), "{holder}");
        }
    }
}

/// Windows denies a rename over a file that is open, which makes the save wait for the reader.
#[test]
fn a_file_is_replaced_while_others_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let text = |n: u32| format!("{n:08}").repeat(2_000);
    write_atomically(&file, text(0).as_bytes()).unwrap();
    let saved = std::sync::atomic::AtomicBool::new(false);
    let (saves, reads) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !saved.load(Relaxed) {
                // Windows refuses to open what is just being replaced.
                let Ok(read) = std::fs::read_to_string(&file) else { continue };
                assert_eq!(read, read[..8].repeat(2_000), "half a file");
                reads += 1;
                // Nobody reads without a pause.
                std::thread::sleep(Duration::from_millis(1));
            }
            reads
        });
        let saves: Vec<_> = (1..=30).map(|n| write_atomically(&file, text(n).as_bytes())).collect();
        saved.store(true, Relaxed);
        (saves, reader.join().unwrap())
    });
    assert!(saves.iter().all(Result::is_ok), "{saves:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text(30));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it after {reads} reads");
}

/// Somebody who keeps it open for good is reported, and the old content stays.
#[cfg(windows)]
#[test]
fn a_file_that_stays_open_is_not_replaced_and_nothing_is_left_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    write_atomically(&file, b"old").unwrap();
    let open = std::fs::File::open(&file).unwrap();
    let denied = write_atomically(&file, b"new").is_err();
    drop(open);
    let expected = if denied { "old" } else { "new" };
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// What others may have left in a folder from before is not written through, and the lock is theirs no more.
#[cfg(unix)]
#[test]
fn the_lock_is_private_and_follows_no_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (dir, paths) = home();
    std::fs::create_dir_all(&paths.state_dir).unwrap();
    std::fs::write(paths.lock_file(), "").unwrap();
    std::fs::set_permissions(paths.lock_file(), PermissionsExt::from_mode(0o666)).unwrap();
    drop(Lock::acquire(&paths).unwrap());
    assert_eq!(std::fs::metadata(paths.lock_file()).unwrap().permissions().mode() & 0o777, 0o600);
    let precious = dir.path().join("precious");
    std::fs::write(&precious, "").unwrap();
    std::fs::remove_file(paths.lock_file()).unwrap();
    symlink(&precious, paths.lock_file()).unwrap();
    assert!(matches!(Lock::acquire(&paths), Err(LockError::Unwritable { .. })));
}
