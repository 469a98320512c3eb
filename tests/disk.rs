//! The built `leeward` and its files: what a disk, a cleaner or a mistake does to them while it runs and before it starts.
//! It serves whatever they say, and says what it cannot keep.

use crate::home::{Home, get, until};
use leeward::config::Paths;
use std::{fs, path::Path};
#[cfg(target_os = "linux")]
use {
    crate::{
        alone::{FULL, Mounted, NOTHING_ELSE, READ_ONLY},
        home::{Ran, Running},
    },
    std::process::Command,
};

/// Each way for a log to vanish that Unix has; Windows keeps names in which files are open.
#[cfg(unix)]
#[test]
fn a_log_that_vanishes_comes_back_and_takes_lines() {
    type Way = fn(&Path, &Path);
    let ways: [(&str, Way); 4] = [
        ("deleted", |log, _| fs::remove_file(log).unwrap()),
        ("moved away", |log, away| fs::rename(log, away).unwrap()),
        ("removed with its folder", |log, _| fs::remove_dir_all(log.parent().unwrap()).unwrap()),
        ("replaced", |log, away| fs::write(away, "theirs\n").and_then(|()| fs::rename(away, log)).unwrap()),
    ];
    let home = Home::new();
    let serving = home.serve(&[]);
    let log = home.paths().log_file();
    let says = |what: &str| fs::read_to_string(&log).unwrap_or_default().contains(what);
    until("the log has lines", || says("accepting"));
    for (what, way) in ways {
        way(&log, &home.path("away"));
        until(what, || says("the log goes on here"));
        assert_eq!(home.run(&["restart"]).code, Some(0), "{what}");
        until(what, || says("accepting"));
        let shown = home.run(&["logs", "-n", "9"]);
        assert!(shown.stdout.contains("accepting"), "{what}: {shown:?}");
    }
    drop(serving);
}

/// The codes of what is wrong.
fn conditions(status: &str) -> Vec<String> {
    let status: serde_json::Value = serde_json::from_str(status).unwrap();
    let conditions = status["status"]["conditions"].as_array().unwrap();
    conditions.iter().map(|condition| condition["code"].as_str().unwrap().to_owned()).collect()
}

/// What is wrong with one file or folder before the start, and what is told of it.
#[test]
fn it_starts_whatever_lies_in_the_place_of_its_files() {
    type Wrong = fn(&Paths);
    let kinds: [(&str, Wrong, Option<&str>); 12] = [
        ("a file for the state folder", |p| file(&p.state_dir), Some("state-not-kept")),
        ("a folder for the lock", |p| folder_at(&p.lock_file()), Some("state-not-kept")),
        ("a folder for the token", |p| folder_at(&p.token_file()), Some("state-not-kept")),
        ("a folder for the record", |p| folder_at(&p.instance_file()), Some("state-not-kept")),
        ("a file for the log's folder", |p| file(p.log_file().parent().unwrap()), Some("log-unwritable")),
        ("a folder for the log", |p| folder_at(&p.log_file()), Some("log-unwritable")),
        ("a folder for the history", |p| folder_at(&p.ledger_file()), Some("ledger-unusable")),
        ("a history that is none", |p| file(&p.ledger_file()), None),
        ("a record that is none", |p| file(&p.instance_file()), None),
        ("a token that is none", |p| file(&p.token_file()), None),
        ("gateways that are none", |p| file(&p.session_upstreams_file()), None),
        ("a file for the holders' folder", |p| file(&p.holders_dir()), None),
    ];
    for (what, wrong, code) in kinds {
        let home = Home::new();
        let runtime = tempfile::tempdir().unwrap();
        wrong(&home.paths());
        let within = |args: &[&str]| {
            let mut command = home.command(args);
            #[cfg(unix)]
            fs::set_permissions(runtime.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
            command.env("XDG_RUNTIME_DIR", runtime.path());
            command
        };
        let serving = home.serve_by(within(&["serve"]));
        assert_eq!(serving.address, home.address, "{what}");
        assert!(get(serving.address, "/livez").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")), "{what}");
        let told = || {
            let ran = within(&["status", "--json"]).output().unwrap();
            assert_eq!(ran.status.code(), Some(0), "{what}: {ran:?}");
            conditions(&String::from_utf8(ran.stdout).unwrap())
        };
        match code {
            Some(code) => until(what, || told() == [code]),
            None => assert_eq!(told(), [""; 0], "{what}"),
        }
        if code == Some("state-not-kept") {
            let said = within(&["status"]).output().unwrap().stdout;
            let (said, folder) = (String::from_utf8(said).unwrap(), home.paths().state_dir.display().to_string());
            assert!(said.contains(&folder), "{what}: `{folder}` in {said}");
        }
    }
}

fn file(path: &Path) {
    folder_at(path.parent().unwrap());
    fs::write(path, "garbage, and more than a few bytes of it\n".repeat(200)).unwrap();
}

fn folder_at(path: &Path) {
    fs::create_dir_all(path).unwrap();
}

#[cfg(target_os = "linux")]
fn ran(mut command: Command) -> Ran {
    Ran::from(command.output().unwrap())
}

/// As a user starts it by hand, or a service.
#[cfg(target_os = "linux")]
#[test]
fn serve_starts_on_a_disk_that_takes_nothing() {
    for (what, mounts, code) in [("full", FULL, "state-not-kept"), ("read-only", READ_ONLY, "state-not-kept")] {
        let Some(mounted) = Mounted::new("serve_starts_on_a_disk_that_takes_nothing", mounts) else { return };
        let serving = mounted.home.serve_by(mounted.command(&["serve"], true));
        let status = ran(mounted.command(&["status", "--json"], true));
        assert_eq!((status.code, conditions(&status.stdout)), (Some(0), vec![code.to_owned()]), "{what}");
        assert!(get(serving.address, "/livez").is_some(), "{what}");
    }
}

/// No command finds it, and agents that know its address are served.
#[cfg(target_os = "linux")]
#[test]
fn serve_starts_where_nothing_at_all_can_be_written() {
    let mounts = format!("mkdir /mnt/home; mount --bind \"$HOME\" /mnt/home; {NOTHING_ELSE}");
    let mounts = format!("mount -t tmpfs none /mnt; {mounts}; mount -o remount,bind,ro /mnt/home; export HOME=/mnt/home");
    let mounts = format!("{mounts} LEEWARD_HOME=/mnt/home/leeward");
    let Some(mounted) = Mounted::new("serve_starts_where_nothing_at_all_can_be_written", &mounts) else { return };
    let serving = mounted.home.serve_by(mounted.command(&["serve"], false));
    let health = get(serving.address, "/health").unwrap();
    for word in ["state-unwritable", "control.token", "instance.json", "log-unwritable", "ledger-unusable"] {
        assert!(health.contains(word), "`{word}` in {health}");
    }
}
/// The disk becomes full under a running agent, and then its Leeward is killed: the next one serves on the socket that the wrap
/// holds, from memory, and everybody finds it there. Once there is room again the next one is back in the folder.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_becomes_full_keeps_no_agent_from_the_next_leeward() {
    let mounts = "mount -t tmpfs -o size=600k,mode=700 none \"$LEEWARD_HOME/state\"";
    let Some(mounted) = Mounted::new("a_disk_that_becomes_full_keeps_no_agent_from_the_next_leeward", mounts) else { return };
    let home = &mounted.home;
    // Each round asks until another process serves, and writes down its status.
    home.agent(
        "claude",
        r#"
        pid() { sed -n 's/^[^[]*"pid":\([0-9]*\).*/\1/p' "$1"; }
        round() {
            leeward="$1" before=$(pid "$OUT/$2"); kill -9 "$before"
            for _ in $(seq 400); do
                "$leeward" status --json > "$OUT/$3" && [ "$(pid "$OUT/$3")" != "$before" ] && return
                sleep 0.05
            done
            exit 9
        }
        "$LEEWARD" status --json > "$OUT/first"
        dd if=/dev/zero of="$LEEWARD_HOME/state/fill" bs=1k 2>/dev/null
        round "$LEEWARD" first full
        rm "$LEEWARD_HOME/state/fill"
        round "$LEEWARD" full again
        "$LEEWARD" stop"#,
    );
    let mut command = mounted.command(&["wrap", "claude"], true);
    command.env("LEEWARD", crate::home::LEEWARD);
    let mut wrap = Running::start(&mut command);
    assert_eq!(wrap.ended(), Some(0));
    let status = |name: &str| -> serde_json::Value { serde_json::from_str(&home.read(name)).unwrap() };
    let address = |name: &str| status(name)["status"]["listener"]["address"].as_str().unwrap().to_owned();
    assert_eq!([address("full"), address("again")], [address("first"), address("first")]);
    let not_kept = |name: &str| conditions(&home.read(name)).contains(&"state-not-kept".to_owned());
    assert_eq!(["first", "full", "again"].map(not_kept), [false, true, false]);
}
