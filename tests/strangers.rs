//! What other users of the machine can do to Leeward's files, memory and port: nothing. Parts need root, to act as two users
//! that nobody has.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

use crate::home::{Home, LEEWARD, Ran, kill, until};
use leeward::instance::DEBUGGABLE;
use std::{
    fs::{self, Permissions},
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};

const OWNER: u32 = 54_321;
const STRANGER: u32 = 54_322;

/// Whether this process can act as other users, and they can run what is under test.
fn can_be_others() -> bool {
    let tried = Command::new(LEEWARD).arg("--version").uid(OWNER).gid(OWNER).stdout(Stdio::null()).status();
    let able = tried.is_ok_and(|status| status.success());
    if !able {
        eprintln!("SKIP: only root can act as other users, where they reach {LEEWARD}");
    }
    able
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Gives a home to the user, who can enter it.
fn give(home: &Home, user: u32) {
    for path in [home.path(""), home.path("leeward"), home.path("work"), home.paths().config_file] {
        chown(path, Some(user), Some(user)).unwrap();
    }
}

/// `leeward` as the owner.
fn as_owner(home: &Home, args: &[&str]) -> Command {
    let mut command = home.command(args);
    command.uid(OWNER).gid(OWNER);
    command
}

fn other(address: SocketAddr) -> Option<SocketAddr> {
    TcpListener::bind("[::1]:0").map_err(|e| eprintln!("SKIP: no [::1] here: {e}")).ok()?;
    Some(SocketAddr::new("::1".parse().unwrap(), address.port()))
}

#[test]
fn a_folder_of_another_user_is_neither_believed_nor_obeyed() {
    if !can_be_others() {
        return;
    }
    let commands: [&[&str]; 4] = [&["serve"], &["status"], &["env"], &["run", "--", "true"]];
    // The folder of all; then that of the state alone; then a config file in a folder of the owner's.
    for what in ["leeward", "leeward/state", "leeward/config.toml"] {
        let home = Home::new();
        fs::create_dir(home.paths().state_dir).unwrap();
        give(&home, OWNER);
        chown(home.paths().state_dir, Some(OWNER), Some(OWNER)).unwrap();
        chown(home.path(what), Some(STRANGER), Some(STRANGER)).unwrap();
        for args in commands {
            // Without this, what is run goes without Leeward, and is told the same.
            let ran = Ran::from(as_owner(&home, args).env("LEEWARD_WRAP_REQUIRE", "true").output().unwrap());
            assert_eq!(ran.code, Some(78), "{what} {args:?}: {ran:?}");
            let place = home.path(what).display().to_string();
            assert!(ran.stderr.contains(&format!("{place} belongs to another user ({STRANGER})")), "{ran:?}");
            assert!(ran.stderr.contains(&format!("`sudo chown -R {OWNER} {place}`")), "{ran:?}");
        }
    }
}

#[test]
fn a_state_folder_that_others_can_write_is_not_used() {
    let home = Home::new();
    let state = home.paths().state_dir;
    fs::create_dir(&state).unwrap();
    let precious = home.path("precious");
    fs::write(&precious, "precious").unwrap();
    std::os::unix::fs::symlink(&precious, home.paths().token_file()).unwrap();
    chmod(&state, 0o777);
    let ran = home.run(&["serve"]);
    assert_eq!(ran.code, Some(78), "{ran:?}");
    assert!(ran.stderr.contains(&format!("run `chmod go-w {}`", state.display())), "{ran:?}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

/// Everything below a folder.
fn all_below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        found.push(entry.path());
        if entry.path().is_dir() {
            all_below(&entry.path(), found);
        }
    }
}

#[test]
fn what_leeward_makes_is_private_whatever_the_umask() {
    let home = Home::new();
    let mut serve = home.command_of(Path::new("/bin/sh"), &["-c", "umask 0; exec \"$0\" serve", LEEWARD]);
    serve.stdin(Stdio::null());
    let _serving = home.serve_by(serve);
    let state = home.paths().state_dir;
    until("the ledger is there", || home.paths().ledger_file().exists());
    let mut made = vec![state.clone()];
    all_below(&state, &mut made);
    assert!(made.contains(&home.paths().lock_file()) && made.contains(&home.paths().log_file()), "{made:?}");
    let open: Vec<_> = made.iter().filter(|path| fs::metadata(path).is_ok_and(|m| m.mode() & 0o077 != 0)).collect();
    assert!(open.is_empty(), "others may use {open:?}");
}

#[test]
fn a_config_with_a_secret_that_others_can_read_is_a_condition() {
    let home = Home::new();
    home.configure("client_token = '0123456789abcdef'\n");
    let file = home.paths().config_file;
    for folder in [home.path(""), home.path("leeward")] {
        chmod(&folder, 0o755);
    }
    chmod(&file, 0o644);
    let _serving = home.serve(&[]);
    let told = || home.status()["status"]["conditions"].as_array().unwrap().iter().any(|c| c["code"] == "config-exposed");
    assert!(told(), "{}", home.status());
    chmod(&file, 0o600);
    until("it is seen that it is hidden", || !told());
}

/// Soft limit of core files, and who owns what debuggers read.
fn crash(pid: u32) -> (String, u32) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let owner = fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid();
    (line.split_whitespace().nth(4).unwrap().to_owned(), owner)
}

/// A command of the shell in the place of the program, with the limit raised as far as it goes.
fn raised(home: &Home, command: &str) -> Command {
    let script = format!("ulimit -Sc \"$(ulimit -Hc)\"; {command}");
    home.command_of(Path::new("/bin/sh"), &["-c", &script, LEEWARD])
}

#[test]
fn a_crash_leaves_no_core_file_unless_that_is_wanted() {
    let home = Home::new();
    let others = can_be_others();
    if others {
        give(&home, OWNER);
    }
    let serve = |debuggable: bool| {
        let mut serve = raised(&home, "exec \"$0\" serve");
        if others {
            serve.uid(OWNER).gid(OWNER);
        }
        serve.envs(debuggable.then_some((DEBUGGABLE, "1")));
        home.serve_by(serve)
    };
    let serving = serve(false);
    let (limit, owner) = crash(serving.pid());
    assert_eq!((limit.as_str(), owner), ("0", 0), "not dumpable: it is root's");
    drop(serving);
    let serving = serve(true);
    let (limit, owner) = crash(serving.pid());
    let hard = Ran::from(raised(&home, "ulimit -Hc").output().unwrap()).stdout;
    assert!(hard.trim() == "0" || limit != "0", "{limit} of {hard}");
    assert!(!others || owner == OWNER, "{owner}");
}

#[test]
fn an_agent_gets_the_limit_back_that_leeward_found() {
    let home = Home::new();
    home.agent("shows", "ulimit -Sc");
    let hard = Ran::from(raised(&home, "ulimit -Hc").output().unwrap()).stdout;
    let ran = Ran::from(raised(&home, "exec \"$0\" run -- shows").output().unwrap());
    assert_eq!((ran.code, ran.stdout.trim()), (Some(0), hard.trim()), "{ran:?}");
}

/// `serve` hides its memory, and with it what it has open: its user is told of it all the same.
#[test]
fn a_serve_that_hides_its_memory_is_still_named_to_its_user() {
    if !can_be_others() {
        return;
    }
    let home = Home::new();
    give(&home, OWNER);
    let serving = home.serve_by(as_owner(&home, &["serve"]));
    let second = home.path("second");
    fs::create_dir(&second).unwrap();
    chown(&second, Some(OWNER), Some(OWNER)).unwrap();
    let mut taken = as_owner(&home, &["serve", "--listen", &serving.address.to_string()]);
    let ran = Ran::from(taken.env("LEEWARD_HOME", &second).output().unwrap());
    assert_eq!(ran.code, Some(75), "{ran:?}");
    assert!(ran.stderr.contains(&format!("is taken by leeward (pid {})", serving.pid())), "{ran:?}");
    kill(serving.pid(), "STOP");
    let ran = Ran::from(as_owner(&home, &["status"]).output().unwrap());
    kill(serving.pid(), "CONT");
    assert!(ran.stderr.contains(&format!("process {} accepts there and said nothing", serving.pid())), "{ran:?}");
}

#[test]
fn localhost_leads_to_nobody_else_while_leeward_serves() {
    let home = Home::new();
    let serving = home.serve(&[]);
    let Some(other) = other(serving.address) else { return };
    let mut thief = Command::new("python3");
    let script = "import socket,sys\ns=socket.socket(socket.AF_INET6)\n\
                  for o in (socket.SO_REUSEADDR,socket.SO_REUSEPORT): s.setsockopt(socket.SOL_SOCKET,o,1)\n\
                  s.bind(('::1',int(sys.argv[1])))";
    thief.args(["-c", script, &other.port().to_string()]).stderr(Stdio::null());
    if can_be_others() {
        thief.uid(STRANGER).gid(STRANGER);
    }
    let taken = |thief: &mut Command| thief.status().unwrap().success();
    assert!(!taken(&mut thief));
    assert_eq!(home.run(&["restart"]).code, Some(0));
    assert!(!taken(&mut thief), "generations share it");
    let refused = std::net::TcpStream::connect(other).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "clients go on to 127.0.0.1");
    drop(serving);
    TcpListener::bind(other).expect("it goes with the process");
}

#[test]
fn who_has_the_other_loopback_is_a_condition() {
    let home = Home::new();
    let Some(other) = other(home.address) else { return };
    let Ok(stranger) = TcpListener::bind(other) else { return eprintln!("SKIP: {other} is taken") };
    let serving = home.serve(&[]);
    assert_eq!(serving.address, home.address);
    let told = || {
        let status = home.status();
        let conditions = status["status"]["conditions"].as_array().unwrap().clone();
        conditions.into_iter().find(|c| c["code"] == "other-loopback-taken")
    };
    until("it is told", || told().is_some());
    let sentence = told().unwrap()["sentence"].as_str().unwrap().to_owned();
    assert!(sentence.contains(&format!("pid {}", std::process::id())), "{sentence}");
    drop(stranger);
    until("it is held once it is free", || told().is_none());
    assert!(TcpListener::bind(other).is_err());
}
