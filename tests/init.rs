//! The built `leeward` as the first process of a container: it collects orphans, passes signals on, and ends as what it runs
//! ends. Linux only, and only where a process may make such a container; elsewhere a test says `SKIP` and why.

#![cfg(target_os = "linux")]

use crate::{
    home::{Home, LEEWARD, Running, get, kill, until, wait},
    signals::{Recorded, children, wrapped},
};
use leeward::config::Paths;
use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

/// Makes a user, numbers of processes and `/proc` of its own; all in it end with this command.
const CONTAINER: &[&str] = &["-r", "-p", "-f", "--mount-proc", "--kill-child"];

/// Whether there can be one.
fn can_be_made(test: &str) -> bool {
    let why = match Command::new("unshare").args(CONTAINER).arg("true").output() {
        Ok(Output { status, .. }) if status.success() => return true,
        Ok(Output { stderr, .. }) => String::from_utf8_lossy(&stderr).trim().to_owned(),
        Err(e) => format!("unshare: {e}"),
    };
    // Past the test harness's capture, which shows nothing of a test that passes.
    std::io::stderr().write_all(format!("SKIP {test}: no container of its own: {why}\n").as_bytes()).ok();
    false
}

/// `leeward` as the first process of a container, as container runtimes start one: the leader of a session. Its files are not
/// where `Home` looks for processes to end: their numbers are the container's.
fn first(home: &Home, args: &[&str]) -> Command {
    let mut command = home.command_of("unshare".as_ref(), CONTAINER);
    command.args(["setsid", LEEWARD]).args(args);
    command.env("LEEWARD_HOME", home.path("inside")).env("LEEWARD_LISTEN", home.address.to_string());
    command
}

/// The first process's number out here.
fn number(container: &Running) -> u32 {
    let mut found = None;
    until("the first process is there", || {
        let first = children(container.pid()).into_iter().find(|(_, args)| args.starts_with(LEEWARD));
        found = first.map(|(pid, _)| pid);
        found.is_some()
    });
    found.unwrap()
}

/// The agent leaves an orphan behind and waits until nothing is left of it, not even a zombie.
#[test]
fn an_orphan_that_ended_leaves_nothing_behind() {
    if !can_be_made("an_orphan_that_ended_leaves_nothing_behind") {
        return;
    }
    let home = Home::new();
    let script = r#"mkfifo "$OUT/go"
        (sh -c 'echo $$ > "$OUT/orphan"; : > "$OUT/there"; read word < "$OUT/go"' &)
        while [ ! -e "$OUT/there" ]; do sleep 0.01; done
        orphan=/proc/$(cat "$OUT/orphan")
        grep '^PPid:' $orphan/status > "$OUT/parent"
        echo > "$OUT/go"
        looks=0
        while [ -e $orphan ] && [ $looks -lt 500 ]; do sleep 0.02; looks=$((looks + 1)); done
        [ -e $orphan ] && grep '^State:' $orphan/status > "$OUT/left"
        exit 7"#;
    let mut container = Running::start(&mut first(&home, &["run", "sh", "-c", script]));
    assert_eq!(container.ended(), Some(7), "the agent's own code");
    assert_eq!(home.read("parent").trim(), "PPid:\t1", "it was the first process's orphan");
    assert_eq!(home.read("left"), "", "nothing is left of it");
}

/// More of them than the process that works has children, at once, while `serve` is asked.
#[test]
fn a_container_of_serve_collects_orphans_and_ends_in_order() {
    if !can_be_made("a_container_of_serve_collects_orphans_and_ends_in_order") {
        return;
    }
    let home = Home::new();
    let mut command = first(&home, &["serve"]);
    let mut container = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let first = number(&container);
    let record = Paths::under(&home.path("inside")).instance_file();
    until("it serves", || record.exists() && get(home.address, "/health").is_some());
    let orphans = "for each in 1 2 3 4 5 6 7 8; do (sleep 0.$each &) done";
    let mut enter = Command::new("nsenter");
    enter.args(["-t", &first.to_string(), "-U", "-p", "-m", "--preserve-credentials", "sh", "-c", orphans]);
    assert!(enter.status().unwrap().success());
    let left = |state: &str| children(first).iter().filter(|(_, args)| args.contains(state)).count();
    until("all have ended", || left("sleep 0.") == 0 && left("<defunct>") == 0);
    assert!(get(home.address, "/health").is_some(), "it still serves");
    // As `docker stop` does.
    kill(first, "TERM");
    assert_eq!(wait(&mut container.0), Some(0));
    assert!(!record.exists(), "it has ended in order");
}

fn recorded() -> Recorded {
    let home = Home::new();
    let mut command = first(&home, &wrapped().iter().map(String::as_str).collect::<Vec<_>>());
    let container = Running::start(command.stdout(Stdio::null()));
    let first = number(&container);
    let works = || children(first).into_iter().find(|(_, args)| args.contains(" run -- "));
    until("the wrap's witness is ready", || works().is_some_and(|(pid, _)| Recorded::witness_is_ready(pid)));
    Recorded::started(home, container, first)
}

#[test]
fn a_signal_to_the_first_process_reaches_the_agent_once() {
    if can_be_made("a_signal_to_the_first_process_reaches_the_agent_once") {
        recorded().each_arrives_once(false);
    }
}

#[test]
fn a_signal_to_the_first_process_group_reaches_the_agent_once() {
    if can_be_made("a_signal_to_the_first_process_group_reaches_the_agent_once") {
        recorded().each_arrives_once(true);
    }
}
