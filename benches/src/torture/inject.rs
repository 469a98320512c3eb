//! What is done to a program from outside: failing system calls, no more files, its socket shut down, a kill, restarts.

use super::{Case, Verdict};
use crate::{peer::Reload, process::Process};
use anyhow::{Context, Result};
use rustix::{
    fd::OwnedFd,
    net::Shutdown,
    process::{
        Pid, PidfdFlags, PidfdGetfdFlags, Resource, Rlimit, Signal, getrlimit, kill_process, pidfd_getfd, pidfd_open, prlimit,
    },
};
use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Errors of `accept` (man 2 accept, and what the founding reports saw): none of them means that the socket is gone.
const ERRORS: [&str; 6] = ["ECONNABORTED", "EPROTO", "EPERM", "ENOBUFS", "ENETDOWN", "EIO"];
/// How long each of them lasts.
const EACH: Duration = Duration::from_secs(1);
/// How long a program may take to come back.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn accept_errors(case: &mut Case<'_>) -> Result<Verdict> {
    let (mut asked, mut failed, mut errors) = (0, 0, 0);
    for error in ERRORS {
        let counted = tempfile::NamedTempFile::new()?;
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-q", "-e", "trace=accept,accept4", "-e"])
            .arg(format!("inject=accept,accept4:error={error}:when=1+2"));
        strace.arg("-o").arg(counted.path());
        for pid in case.process.tree() {
            strace.arg("-p").arg(pid.to_string());
        }
        let mut strace = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("strace")?;
        attached(&case.process).await?;
        let end = Instant::now() + EACH;
        while Instant::now() < end {
            asked += 1;
            failed += u64::from(case.agent().within(Duration::from_secs(5)).ask().await.is_err());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if let Some(pid) = Pid::from_raw(strace.id().cast_signed()) {
            kill_process(pid, Signal::TERM).ok();
        }
        strace.wait()?;
        errors += fs::read_to_string(counted.path())?.matches("(INJECTED)").count();
    }
    let verdict = case.verdict(asked, failed).await;
    Ok(Verdict { note: format!("{errors} errors"), ..verdict })
}

/// Waits until somebody traces it.
async fn attached(process: &Process) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    let traced = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() != "0"))
    };
    while !process.tree().iter().all(traced) {
        anyhow::ensure!(Instant::now() < end, "strace does not attach: is tracing allowed on this machine?");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

pub(super) async fn no_files(case: &mut Case<'_>) -> Result<Verdict> {
    let before = getrlimit(Resource::Nofile);
    let set = |pid: u32, current: Option<u64>| -> Result<()> {
        let pid = Pid::from_raw(pid.cast_signed()).context("a pid")?;
        prlimit(Some(pid), Resource::Nofile, Rlimit { current, maximum: before.maximum })?;
        Ok(())
    };
    let tree = case.process.tree();
    for pid in &tree {
        let open = fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
        set(*pid, Some(open + 60))?;
    }
    let mut held = Vec::new();
    for _ in 0..case.count(200).max(100) {
        let connect = tokio::net::TcpStream::connect(case.home.place().listen);
        if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_secs(1), connect).await {
            held.push(stream);
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(held);
    let recovery = case.recovers(PATIENCE).await;
    for pid in &tree {
        set(*pid, before.current).ok();
    }
    let verdict = case.verdict(1, u64::from(recovery.is_none())).await;
    Ok(Verdict { recovery_ms: recovery, ..verdict })
}

/// A copy of the socket on which a program listens, out of its own table of files.
fn listening(case: &Case<'_>) -> Result<(u32, OwnedFd)> {
    let port = format!("0100007F:{:04X}", case.home.place().listen.port());
    let table = fs::read_to_string("/proc/net/tcp")?;
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields.get(1) == Some(&port.as_str()) && fields.get(3) == Some(&"0A"))
            .then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
    };
    let inode = table.lines().find_map(inode).context("nobody listens")?;
    // A child accepts where there are any.
    for pid in case.process.tree().into_iter().rev() {
        for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
            if fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy() == inode) {
                let number: i32 = entry.file_name().to_string_lossy().parse()?;
                let process = pidfd_open(Pid::from_raw(pid.cast_signed()).context("a pid")?, PidfdFlags::empty())?;
                return Ok((pid, pidfd_getfd(process, number, PidfdGetfdFlags::empty())?));
            }
        }
    }
    anyhow::bail!("no process of it holds the socket")
}

pub(super) async fn socket_shut(case: &mut Case<'_>) -> Result<Verdict> {
    let (_, socket) = listening(case)?;
    rustix::net::shutdown(&socket, Shutdown::Both)?;
    drop(socket);
    let recovery = case.recovers(PATIENCE).await;
    let verdict = case.verdict(1, u64::from(recovery.is_none())).await;
    Ok(Verdict { recovery_ms: recovery, ..verdict })
}

pub(super) async fn kill(case: &mut Case<'_>) -> Result<Verdict> {
    // Whoever was started by `leeward run` (or `wrap`) starts it again; of the others it is their master's task.
    let place = case.home.place();
    let watcher = match case.peer.watcher(&place) {
        None => None,
        Some(command) => {
            let watcher = Process::start(command, case.cores.proxy)?;
            // It is on guard once it has said so to the server.
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some(watcher)
        }
    };
    let (pid, socket) = listening(case)?;
    drop(socket);
    kill_process(Pid::from_raw(pid.cast_signed()).context("a pid")?, Signal::KILL)?;
    let recovery = case.recovers(PATIENCE).await;
    let verdict = case.verdict(1, u64::from(recovery.is_none())).await;
    drop(watcher);
    if let Some(left) = case.peer.left_behind(&case.home.place()) {
        kill_process(Pid::from_raw(left.cast_signed()).context("a pid")?, Signal::KILL).ok();
    }
    Ok(Verdict { recovery_ms: recovery, ..verdict })
}

pub(super) async fn restart(case: &mut Case<'_>) -> Result<Verdict> {
    let (mut asked, mut failed) = (0, 0);
    let mut kept = case.agent().within(Duration::from_secs(5));
    for _ in 0..case.count(20) {
        let mut running = match case.peer.reload(&case.home.place()) {
            Reload::None => return Ok(Verdict { note: "has none".into(), ..Verdict::default() }),
            Reload::Signal(signal) => {
                case.process.signal(signal);
                None
            }
            Reload::Command(mut command) => {
                Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
            }
        };
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end {
            asked += 2;
            if kept.ask().await.is_err() {
                failed += 1;
                kept.anew();
            }
            failed += u64::from(case.agent().within(Duration::from_secs(5)).ask().await.is_err());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if let Some(command) = &mut running {
            command.wait()?;
        }
    }
    Ok(case.verdict(asked, failed).await)
}
