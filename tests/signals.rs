//! Every signal that a wrap receives reaches its agent exactly once: sent to the wrap alone, to its whole process group, or
//! typed in the terminal. The agent is this very program, as `recorder`, which counts what it gets.
#![cfg(unix)]

use crate::home::{Home, Running, is_ignored, kill, until};
use rustix::process::Signal;
use signal_hook::iterator::Signals;
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

/// What a program can receive from outside, but for KILL and STOP, its own faults, and what the system says of its children
/// and its terminal.
const NAMED: &[Signal] = &[
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::ABORT,
    Signal::USR1,
    Signal::USR2,
    Signal::PIPE,
    Signal::ALARM,
    Signal::TERM,
    Signal::CONT,
    Signal::TSTP,
    Signal::URG,
    Signal::XCPU,
    Signal::XFSZ,
    Signal::VTALARM,
    Signal::PROF,
    Signal::WINCH,
    Signal::IO,
    #[cfg(target_os = "linux")]
    Signal::STKFLT,
    #[cfg(target_os = "linux")]
    Signal::POWER,
];

/// The named ones, and on Linux some without a name: first, middle and last. One that these tests were started to ignore
/// stays ignored.
fn table() -> Vec<i32> {
    let real_time: &[i32] = if cfg!(target_os = "linux") { &[36, 50, 64] } else { &[] };
    let all = NAMED.iter().map(|signal| signal.as_raw()).chain(real_time.iter().copied());
    all.filter(|signal| !is_ignored(*signal)).collect()
}

/// The agent: writes a line for each signal, until `done` appears or its parent is gone.
#[test]
#[ignore = "it is the agent of the tests beside it"]
fn recorder() {
    let out = std::env::var("OUT").unwrap();
    let mut signals = Signals::new(table()).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(Path::new(&out).join("got")).unwrap();
    std::fs::write(Path::new(&out).join("ready"), std::process::id().to_string()).unwrap();
    let parent = rustix::process::getppid();
    while !Path::new(&out).join("done").exists() && rustix::process::getppid() == parent {
        for signal in signals.pending() {
            writeln!(file, "{signal}").unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// The arguments that make a wrap start it.
pub fn wrapped() -> Vec<String> {
    let program = std::env::current_exe().unwrap().display().to_string();
    ["run", "--", &program, "--ignored", "--exact", "signals::recorder", "--nocapture"].map(str::to_owned).to_vec()
}

/// A recorder behind a wrap.
pub struct Recorded {
    home: Home,
    wrap: Running,
    /// Who gets the signals first: the wrap, where nobody is before it.
    first: u32,
}

impl Recorded {
    /// In a process group of its own, once it records.
    fn start() -> Self {
        let home = Home::new();
        let mut command = home.command(&wrapped().iter().map(String::as_str).collect::<Vec<_>>());
        let wrap = Running::start(command.process_group(0).stdout(Stdio::null()));
        let first = wrap.pid();
        Self::started(home, wrap, first)
    }

    /// One that was started already, once it records and everybody on its signals' way is ready. `first` leads a group of
    /// its own.
    pub fn started(home: Home, wrap: Running, first: u32) -> Self {
        let recorded = Self { home, wrap, first };
        until("the agent records", || recorded.home.path("ready").exists());
        until("the witness is ready", || Self::witness_is_ready(first));
        recorded
    }

    /// From then on it catches what it is sent.
    pub fn witness_is_ready(of: u32) -> bool {
        let mut witnesses = children(of).into_iter().filter(|(_, args)| args.ends_with(" witness"));
        let catches = |pid: u32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
            // Without /proc it has had the time that the agent took.
            status.map_or(!Path::new("/proc/self").exists(), |status| {
                let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default().trim().to_owned();
                u64::from_str_radix(&caught, 16).unwrap_or(0) & 1 << 63 != 0
            })
        };
        witnesses.any(|(pid, _)| catches(pid))
    }

    fn counts(&self) -> BTreeMap<i32, usize> {
        let mut counts = BTreeMap::new();
        for line in self.home.read("got").lines() {
            *counts.entry(line.parse().unwrap()).or_default() += 1;
        }
        counts
    }

    /// How often a signal has come once another one, sent later to the wrap alone, is there: it has been dealt with.
    fn after(&self, signal: i32) -> usize {
        let barrier = if signal == Signal::USR1.as_raw() { Signal::USR2 } else { Signal::USR1 }.as_raw();
        let before = self.counts().get(&barrier).copied().unwrap_or(0);
        kill(self.first, &barrier.to_string());
        until("the barrier is there", || self.counts().get(&barrier).copied().unwrap_or(0) > before);
        self.counts().get(&signal).copied().unwrap_or(0)
    }

    /// Each signal, sent to the first process alone or to its whole group, reaches the agent once.
    pub fn each_arrives_once(mut self, to_group: bool) {
        for signal in table() {
            let before = self.counts().get(&signal).copied().unwrap_or(0);
            if to_group {
                let group = format!("-{}", self.first);
                let sent = Command::new("kill").args([&format!("-{signal}"), "--", &group]).status().unwrap();
                assert!(sent.success());
            } else {
                kill(self.first, &signal.to_string());
            }
            until(&format!("signal {signal} arrives"), || self.counts().get(&signal).copied().unwrap_or(0) > before);
            assert_eq!(self.after(signal), before + 1, "signal {signal}");
        }
        std::fs::write(self.home.path("done"), "").unwrap();
        assert_eq!(self.wrap.ended(), Some(0));
    }
}

/// Number and command line of each child of a process.
pub fn children(of: u32) -> Vec<(u32, String)> {
    let all = Command::new("ps").args(["-A", "-o", "ppid=,pid=,args="]).output().unwrap();
    let all = String::from_utf8_lossy(&all.stdout).into_owned();
    let child = |line: &str| {
        let (parent, rest) = line.trim_start().split_once(' ')?;
        let (pid, args) = rest.trim_start().split_once(' ')?;
        (parent == of.to_string()).then(|| Some((pid.parse().ok()?, args.trim().to_owned())))?
    };
    all.lines().filter_map(child).collect()
}

#[test]
fn a_signal_to_the_wrap_alone_reaches_the_agent_once() {
    Recorded::start().each_arrives_once(false);
}

#[test]
fn a_signal_to_the_whole_group_reaches_the_agent_once() {
    Recorded::start().each_arrives_once(true);
}

/// An agent that tells its parent that it is ready, as an X server does, does not mean itself.
#[test]
fn a_signal_of_the_agent_to_its_parent_does_not_come_back() {
    let home = Home::new();
    let script = "trap 'echo USR1 >> \"$OUT/got\"' USR1; trap 'echo USR2 >> \"$OUT/got\"; exit 4' USR2; \
                  kill -USR1 $PPID; touch \"$OUT/sent\"; while :; do sleep 0.02; done";
    let mut wrap = Running::start(&mut home.command(&["run", "sh", "-c", script]));
    until("it has told its parent", || home.path("sent").exists());
    // What the wrap gets later it passes on later.
    kill(wrap.pid(), "USR2");
    assert_eq!((wrap.ended(), home.read("got").as_str()), (Some(4), "USR2\n"));
}

/// `nohup`, and a shell's `&`: what was ignored for the wrap is ignored for the agent.
#[cfg(target_os = "linux")]
#[test]
fn what_the_wrap_was_told_to_ignore_the_agent_ignores() {
    let home = Home::new();
    let script = format!("trap '' HUP INT; exec '{}' run sh -c 'grep SigIgn /proc/self/status'", crate::home::LEEWARD);
    let ran = Command::new("sh").arg("-c").arg(script).env_clear().envs(home.environment()).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let mask = u64::from_str_radix(said.trim().trim_start_matches("SigIgn:").trim(), 16).unwrap();
    assert_eq!(mask & 0b11, 0b11, "{said}");
}
