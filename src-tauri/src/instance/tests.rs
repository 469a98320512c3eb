//! The lock, the record and the token, on a real folder.

use super::*;

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

#[test]
fn the_token_is_made_once_and_private() {
    let (_dir, paths) = home();
    assert!(matches!(read_token(&paths), Err(TokenError::Missing(_))));
    let token = read_or_create_token(&paths).unwrap();
    assert!(read_token(&paths).unwrap().matches(token.reveal()));
    assert_eq!(token.reveal().len(), 64);
    std::fs::write(paths.token_file(), "short").unwrap();
    assert!(matches!(read_or_create_token(&paths), Err(TokenError::Damaged(_))));
}

#[cfg(unix)]
#[test]
fn a_token_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, paths) = home();
    read_or_create_token(&paths).unwrap();
    std::fs::set_permissions(paths.token_file(), PermissionsExt::from_mode(0o644)).unwrap();
    let refused = read_token(&paths).unwrap_err();
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
}

#[test]
fn the_holder_of_a_port_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let holder = holder_of(listener.local_addr().unwrap());
    assert!(!holder.leeward);
    if cfg!(target_os = "linux") {
        assert_eq!(holder.pid, Some(std::process::id()), "{holder}");
    }
}
