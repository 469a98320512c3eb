//! `wrap` and `run` are never worse than the program alone: whatever keeps Leeward from serving, the program runs, and how it
//! ends is told as a shell tells it. `wrap.require` refuses instead.
#![cfg(unix)]

use crate::home::{Home, LEEWARD, Ran, kill, variable};
#[cfg(target_os = "linux")]
use crate::home::{Running, get, until};
use std::{
    fs::{self, Permissions},
    io::Write,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Says what it knows of Leeward, and ends with 7.
const SAY: &str = "echo \"base=$ANTHROPIC_BASE_URL\"; exit 7";

fn ran(mut command: Command) -> Ran {
    Ran::from(command.output().unwrap())
}

/// Whether the program runs behind Leeward.
fn is_behind(ran: &Ran) -> bool {
    assert_eq!(ran.code, Some(7), "{ran:?}");
    variable(&ran.stdout, "base").unwrap().starts_with("http://127.0.0.1:")
}

fn executable(path: &Path, content: &[u8], mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What a shell says of each, with the shell itself as the witness.
#[test]
fn a_program_ends_as_in_a_shell() {
    let home = Home::new();
    let bin = home.path("bin");
    executable(&bin.join("script"), b"#!/bin/sh\nexit 3\n", 0o755);
    executable(&bin.join("no-interpreter-named"), b"exit \"$1\"\n", 0o755);
    executable(&bin.join("interpreter-gone"), b"#!/no/such/interpreter\n", 0o755);
    executable(&bin.join("no-program"), &[0x7f, 0, 1, 2], 0o755);
    executable(&bin.join("not-marked"), b"#!/bin/sh\nexit 3\n", 0o644);
    executable(&bin.join("empty"), b"", 0o755);
    executable(&bin.join("killed"), b"#!/bin/sh\nkill -KILL $$\n", 0o755);
    executable(&bin.join("terminated"), b"#!/bin/sh\nkill -TERM $$\n", 0o755);
    fs::create_dir(bin.join("folder")).unwrap();
    for (name, code) in [
        ("script", 3),
        ("no-interpreter-named", 9),
        ("interpreter-gone", 127),
        ("no-program", 126),
        ("not-marked", 126),
        ("empty", 0),
        ("killed", 137),
        ("terminated", 143),
        ("nothing", 127),
        ("folder/", 126),
    ] {
        let path = bin.join(name).display().to_string();
        let mut shell = Command::new("sh");
        shell.args(["-c", "\"$0\" 9", &path]).env_clear().envs(home.environment());
        assert_eq!(ran(shell).code, Some(code), "{name} in a shell");
        let by_path = home.run(&["run", "--", &path, "9"]);
        assert_eq!(by_path.code, Some(code), "{name}: {by_path:?}");
        if !name.ends_with('/') {
            let by_name = home.run(&["run", "--", name, "9"]);
            assert_eq!(by_name.code, Some(code), "{name} by PATH: {by_name:?}");
        }
    }
    let ran = home.run(&["run", "--", bin.join("not-marked").to_str().unwrap()]);
    assert!(ran.stderr.contains("not-marked: it is not marked as executable (`chmod +x`"), "{ran:?}");
}

/// Each member keeps Leeward from serving at all. Sentence, and the exit code where Leeward is required.
#[test]
fn where_leeward_cannot_serve_the_program_runs_without_it_and_is_told_in_one_line() {
    type Stage = fn(&Home, &mut Command);
    let table: [(&str, Stage, &str, i32); 2] = [
        (
            "a state folder that others can write to",
            |home, _| {
                let state = home.paths().state_dir;
                fs::create_dir_all(&state).unwrap();
                fs::set_permissions(&state, Permissions::from_mode(0o777)).unwrap();
            },
            "run `chmod go-w",
            78,
        ),
        (
            "a base URL that is none",
            |_, command| {
                command.env("ANTHROPIC_BASE_URL", "gateway.corp");
            },
            "ANTHROPIC_BASE_URL: `gateway.corp` is not a URL",
            78,
        ),
    ];
    for (what, stage, sentence, code) in table {
        let home = Home::new();
        home.agent("claude", SAY);
        let staged = || {
            let mut command = home.command(&["wrap", "claude"]);
            stage(&home, &mut command);
            command
        };
        let alone = ran(staged());
        assert!(!is_behind(&alone), "{what}: {alone:?}");
        let lines: Vec<_> = alone.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "{what}: {alone:?}");
        assert!(lines[0].contains(sentence) && lines[0].ends_with("; the agent runs without Leeward"), "{what}: {alone:?}");
        let mut required = staged();
        required.env("LEEWARD_WRAP_REQUIRE", "true");
        let refused = ran(required);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(code), ""), "{what}: {refused:?}");
        assert!(refused.stderr.contains(sentence) && !refused.stderr.contains("without Leeward"), "{what}: {refused:?}");
    }
}

/// A config that is refused keeps nobody from Leeward; only where Leeward is required, it is refused as it always was.
#[test]
fn with_a_config_that_is_refused_the_program_runs_behind_leeward_and_is_told() {
    for (text, sentence) in [("lisen = 1", "did you mean `listen`?"), ("[[[", "config.toml:2")] {
        let home = Home::new();
        home.agent("claude", SAY);
        home.configure(text);
        let behind = home.run(&["wrap", "claude"]);
        assert!(is_behind(&behind), "{text}: {behind:?}");
        assert!(behind.stderr.contains(sentence) && behind.stderr.contains("goes on with"), "{text}: {behind:?}");
        let mut required = home.command(&["wrap", "claude"]);
        required.env("LEEWARD_WRAP_REQUIRE", "true");
        let refused = ran(required);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(78), ""), "{text}: {refused:?}");
        assert!(refused.stderr.contains(sentence), "{text}: {refused:?}");
    }
}

#[test]
fn the_key_refuses_too_also_in_a_file_that_is_no_config() {
    let home = Home::new();
    home.agent("claude", SAY);
    home.configure("lisen = 1\n[wrap]\nrequire = true");
    let refused = home.run(&["wrap", "claude"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(78), ""), "{refused:?}");
    home.configure("[wrap]\nrequire = true");
    assert!(is_behind(&home.run(&["wrap", "claude"])), "it can run behind Leeward");
}

#[test]
fn a_working_folder_that_is_gone_keeps_nobody_from_anything() {
    let home = Home::new();
    home.agent("claude", SAY);
    let gone = home.path("gone");
    fs::create_dir(&gone).unwrap();
    let mut shell = Command::new("sh");
    let script = format!("cd \"$OUT/gone\" && rmdir \"$OUT/gone\" && exec '{LEEWARD}' wrap claude");
    shell.args(["-c", &script]).env_clear().envs(home.environment());
    let ran = ran(shell);
    // The shells have something to say about it.
    assert!(is_behind(&ran) && !ran.stderr.contains("leeward:"), "{ran:?}");
}

/// Outside of the ports that Leeward tries by itself.
#[test]
fn a_taken_port_does_not_keep_an_agent_from_leeward() {
    let home = Home::new();
    home.agent("claude", SAY);
    let _taken = TcpListener::bind(home.address).unwrap();
    let ran = home.run(&["wrap", "claude"]);
    assert!(is_behind(&ran), "{ran:?}");
    let told: Vec<_> = ran.stderr.lines().collect();
    assert!(told.len() == 1 && told[0].contains(&format!("port {} of 127.0.0.1 is taken by", home.address.port())), "{ran:?}");
    assert!(told[0].ends_with("for this agent Leeward accepts on another port"), "{ran:?}");
    assert_ne!(home.record().unwrap().address, home.address);
}

/// An update removes the file and puts a new one there; a user may only remove it.
#[cfg(target_os = "linux")]
#[test]
fn a_program_that_is_removed_under_a_wrap_still_brings_leeward_back() {
    let home = Home::new();
    home.agent("claude", "touch \"$OUT/ready\"; while [ ! -e \"$OUT/done\" ]; do sleep 0.02; done");
    let copy = home.path("bin/leeward");
    fs::copy(LEEWARD, &copy).unwrap();
    let mut wrap = Running::start(&mut home.command_of(&copy, &["wrap", "claude"]));
    until("the agent runs", || home.path("ready").exists());
    fs::remove_file(&copy).unwrap();
    let before = home.record().unwrap();
    kill(before.pid, "KILL");
    until("it accepts again", || get(before.address, "/livez").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")));
    until("another process serves", || home.record().is_some_and(|after| after.pid != before.pid));
    fs::write(home.path("done"), "").unwrap();
    assert_eq!(wrap.ended(), Some(0));
}

/// In a mount namespace of its own, for which a user must be root here.
pub struct Mounted {
    pub home: Home,
    runtime: tempfile::TempDir,
    mounts: String,
}

impl Mounted {
    pub fn new(test: &str, mounts: &str) -> Option<Self> {
        let possible = Command::new("unshare").args(["-m", "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"]).output();
        if !possible.is_ok_and(|ran| ran.status.success()) {
            let line = format!("SKIP {test}: no mount namespace of its own (root and unshare are needed)\n");
            std::io::stderr().write_all(line.as_bytes()).ok();
            return None;
        }
        let home = Home::new();
        home.agent("claude", SAY);
        fs::create_dir_all(home.paths().state_dir).unwrap();
        let runtime = tempfile::tempdir().unwrap();
        // As the login makes it.
        fs::set_permissions(runtime.path(), Permissions::from_mode(0o700)).unwrap();
        Some(Self { home, runtime, mounts: mounts.to_owned() })
    }

    /// `leeward` with arguments, after the mounts.
    pub fn command(&self, args: &[&str], runtime: bool) -> Command {
        let mut command = Command::new("unshare");
        let script = format!("set -e; {}; cd /; exec \"$@\"", self.mounts);
        command.args(["-m", "sh", "-c", &script, "sh", LEEWARD]).args(args);
        command.env_clear().envs(self.home.environment());
        if runtime {
            command.env("XDG_RUNTIME_DIR", self.runtime.path());
        }
        command
    }

    /// The folder that stands in for the state folder.
    pub fn stand_in(&self) -> Option<PathBuf> {
        let mut homes = fs::read_dir(self.runtime.path().join("leeward")).ok()?;
        Some(homes.next()?.unwrap().path())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let record = self.stand_in().and_then(|folder| fs::read_to_string(folder.join("instance.json")).ok());
        let pid = record.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok()?["pid"].as_u64());
        if let Some(pid) = pid.and_then(|pid| u32::try_from(pid).ok()) {
            kill(pid, "KILL");
        }
    }
}

pub const FULL: &str = "mount -t tmpfs -o size=64k,mode=700 none \"$LEEWARD_HOME/state\"; \
                    dd if=/dev/zero of=\"$LEEWARD_HOME/state/fill\" bs=1k 2>/dev/null || true";
pub const READ_ONLY: &str = "mount --bind \"$HOME\" \"$HOME\"; mount -o remount,bind,ro \"$HOME\"";
/// What every place of `instance::place` lies in.
pub const NOTHING_ELSE: &str = "for folder in /tmp /dev/shm /run; do mount -t tmpfs -o size=4k,mode=755 none $folder; \
                            mount -o remount,ro $folder; done";

#[test]
fn state_that_cannot_be_kept_is_kept_in_memory_and_told() {
    for (what, mounts, why) in [("a full disk", FULL, "No space left"), ("a read-only home", READ_ONLY, "Read-only file system")]
    {
        let Some(mounted) = Mounted::new("state_that_cannot_be_kept_is_kept_in_memory_and_told", mounts) else { return };
        let first = ran(mounted.command(&["wrap", "claude"], true));
        assert!(is_behind(&first) && first.stderr.is_empty(), "{what}: {first:?}");
        let stand_in = mounted.stand_in().unwrap();
        for (path, mode) in [(stand_in.clone(), 0o700), (stand_in.join("control.token"), 0o600)] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{what}: {}", path.display());
        }
        // Every command finds the same one, and says what is the matter.
        let status = ran(mounted.command(&["status"], true));
        let state = mounted.home.paths().state_dir.display().to_string();
        assert_eq!(status.code, Some(0), "{what}: {status:?}");
        for word in [why, &state, &stand_in.display().to_string()] {
            assert!(status.stdout.contains(word), "{what}: `{word}` in {status:?}");
        }
        let health = ran(mounted.command(&["status", "--json"], true)).stdout;
        assert!(health.contains("\"state-not-kept\""), "{what}: {health}");
        let second = ran(mounted.command(&["wrap", "claude"], true));
        assert_eq!(first.stdout, second.stdout, "{what}: the second agent has the same Leeward");
    }
}

#[test]
fn where_there_is_no_memory_either_the_program_runs_without_leeward() {
    // The test's own files are below /tmp, and so are mounted there again.
    let mounts = format!("mkdir /mnt/home; mount --bind \"$HOME\" /mnt/home; {NOTHING_ELSE}");
    let mounts = format!("mount -t tmpfs none /mnt; {mounts}; mount -o remount,bind,ro /mnt/home; export HOME=/mnt/home");
    let mounts = format!("{mounts} LEEWARD_HOME=/mnt/home/leeward PATH=\"/mnt/home/bin:$PATH\"");
    let Some(mounted) = Mounted::new("where_there_is_no_memory_either", &mounts) else { return };
    let alone = ran(mounted.command(&["wrap", "claude"], false));
    assert!(!is_behind(&alone), "{alone:?}");
    assert!(alone.stderr.contains("state folder") && alone.stderr.lines().count() == 1, "{alone:?}");
    assert!(alone.stderr.trim_end().ends_with("; the agent runs without Leeward"), "{alone:?}");
    let mut required = mounted.command(&["wrap", "claude"], false);
    required.env("LEEWARD_WRAP_REQUIRE", "true");
    let refused = ran(required);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(73), ""), "{refused:?}");
}
