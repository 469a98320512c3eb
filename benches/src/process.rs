//! A program under test: started on its core, looked at through `/proc`, ended with its children.

use anyhow::{Context, Result};
use std::{
    fs,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Clock ticks a second in `/proc/PID/stat`: USER_HZ, which is 100 on all Linux systems in use (man 5 proc).
const TICKS: u32 = 100;

/// A running program, and the processes it started. Dropping it kills them.
pub(crate) struct Process {
    child: Child,
}

/// Bytes of memory of a program and its children.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct Memory {
    /// Resident, pages that processes share counted in each.
    pub(crate) rss: u64,
    /// Resident, each shared page divided among those who share it.
    pub(crate) pss: u64,
}

impl Process {
    /// Starts it in a process group of its own, on the core named, with what it says thrown away.
    pub(crate) fn start(mut command: Command, core: usize) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut pinned = Command::new("taskset");
        pinned.arg("-c").arg(core.to_string()).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => pinned.env(name, value),
                None => pinned.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            pinned.current_dir(folder);
        }
        command = pinned;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {program} (under taskset)"))?;
        Ok(Self { child })
    }

    /// Its process id, which `taskset` hands to the program itself.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// True until it has ended.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// It and its descendants.
    pub(crate) fn tree(&self) -> Vec<u32> {
        let parents: Vec<(u32, u32)> = all().into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect();
        let mut tree = vec![self.pid()];
        let mut at = 0;
        while at < tree.len() {
            let over = tree[at];
            tree.extend(parents.iter().filter(|(_, parent)| *parent == over).map(|(pid, _)| *pid));
            at += 1;
        }
        tree
    }

    /// Processor time so far, user and system, ended threads included.
    pub(crate) fn cpu(&self) -> Duration {
        self.tree().into_iter().map(cpu_of).sum()
    }

    /// What it holds in memory now.
    pub(crate) fn memory(&self) -> Memory {
        let mut sum = Memory::default();
        for pid in self.tree() {
            let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
            let kib = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name))?;
                line.split_whitespace().next()?.parse::<u64>().ok()
            };
            sum.rss += kib("Rss:").unwrap_or_default() * 1024;
            sum.pss += kib("Pss:").unwrap_or_default() * 1024;
        }
        sum
    }

    /// How often its threads have waited for something and been woken.
    pub(crate) fn wakeups(&self) -> u64 {
        let tasks = self.tree().into_iter().flat_map(|pid| {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            tasks.map(|task| task.path().join("status"))
        });
        tasks
            .filter_map(|path| fs::read_to_string(path).ok())
            .filter_map(|text| {
                let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
                line.trim().parse::<u64>().ok()
            })
            .sum()
    }

    /// Sends a signal to the program itself.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid().cast_signed()) {
            rustix::process::kill_process(pid, signal).ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid().cast_signed()) {
            rustix::process::kill_process_group(pid, rustix::process::Signal::KILL).ok();
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Processor time of one process.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return Duration::ZERO };
    // The name in brackets may hold blanks; utime and stime are the fields 14 and 15.
    let Some((_, rest)) = text.rsplit_once(')') else { return Duration::ZERO };
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok()).unwrap_or_default();
    Duration::from_secs(1) * (ticks(11) + ticks(12)) / TICKS
}

fn parent(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
