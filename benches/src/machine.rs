//! What the figures were taken on, and which core does what. Measures nothing.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::{fs, process::Command, thread::available_parallelism};

/// Which core runs what. With two cores the proxy has one to itself; upstream and load share the other, so what a proxy
/// can do may be more than they can ask of it: their share is printed with each figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) proxy: usize,
    pub(crate) upstream: usize,
    pub(crate) load: usize,
}

impl Cores {
    /// One each where there are enough.
    pub(crate) fn choose() -> Result<Self> {
        let count = available_parallelism().context("the number of cores")?.get();
        Ok(match count {
            1 => Self { proxy: 0, upstream: 0, load: 0 },
            2 => Self { proxy: 0, upstream: 1, load: 1 },
            _ => Self { proxy: 0, upstream: 1, load: 2 },
        })
    }

    /// Keeps this process on the load's core.
    pub(crate) fn take_mine(self) -> Result<()> {
        let mut set = CpuSet::new();
        set.set(self.load);
        sched_setaffinity(None, &set).context("cannot keep the load on its core")
    }
}

/// As many open files as the system allows: 5,000 idle clients need some.
pub(crate) fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).ok();
    limit.current.unwrap_or(u64::MAX)
}

/// One line: processor, cores, memory, kernel, compiler.
pub(crate) fn description() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |(_, name)| name);
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo");
    let kib: u64 = memory.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
    let (kernel, rustc) = (said("uname", &["-r"]), said("rustc", &["--version"]));
    format!("{model}, {cores} cores, {} GiB, Linux {kernel}, {rustc}", kib >> 20)
}

/// The first line that a program says, on whichever of its outputs.
pub(crate) fn said(program: &str, args: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(args).output() else { return String::new() };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}
