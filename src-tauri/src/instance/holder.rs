//! Who holds a port, for the sentence the user sees. Best effort: other users' processes may stay unnamed.

#[cfg(target_os = "linux")]
#[path = "holder/linux.rs"]
mod platform;

use super::holders::HolderEntry;
use std::net::SocketAddr;

/// The process that listens on a port. What it says of itself is not asked: anybody may say that it is a Leeward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id, where the system shows it.
    pub pid: Option<u32>,
    /// Its program, where the system shows it.
    pub program: Option<String>,
    /// It is the wrap of an agent of ours: our own state folder says so, and the system that it has the socket.
    pub is_wrap: bool,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.program, self.pid) {
            (_, Some(pid)) if self.is_wrap => write!(f, "`leeward wrap` (pid {pid}), which holds it for its agent"),
            (Some(program), Some(pid)) => write!(f, "{program} (pid {pid})"),
            (None, Some(pid)) => write!(f, "another program (pid {pid})"),
            _ => f.write_str("another program, which the system does not name"),
        }
    }
}

/// Names the process that listens on the port of `address`; `wraps` are those that hold sockets for agents of this state
/// folder. Asks only the system, and blocks while it answers.
pub fn holder_of(address: SocketAddr, wraps: &[HolderEntry]) -> Holder {
    let (told, hidden) = processes_at(address);
    let is_wrap = |(pid, program): &Process| is_leeward(program) && wraps.iter().any(|wrap| wrap.pid == *pid);
    // Whoever serves there is named before those that only hold the socket.
    let (holding, others): (Vec<_>, Vec<_>) = told.into_iter().partition(is_wrap);
    let only = |hidden| <[_; 1]>::try_from(hidden).ok().map(|[only]| only);
    if let Some((pid, program)) = others.into_iter().next().or_else(|| only(hidden)) {
        return Holder { pid: Some(pid), program: Some(program), is_wrap: false };
    }
    let holding = holding.first().map(|(pid, _)| *pid);
    let pid = holding.or_else(|| wraps.iter().map(|wrap| wrap.pid).find(|pid| is_hidden_at(address, *pid)));
    Holder { pid, program: None, is_wrap: pid.is_some() }
}

/// By the name of its program, with an ending or without.
fn is_leeward(program: &str) -> bool {
    program.split('.').next() == Some("leeward")
}

/// True when the system says that the process listens at `address`, or that it may be the one of this user that does. Asks
/// only the system, and blocks while it answers.
pub fn is_held_by(address: SocketAddr, pid: u32) -> bool {
    let (told, hidden) = processes_at(address);
    told.iter().chain(&hidden).any(|(process, _)| *process == pid)
}

/// Number and program of a process.
type Process = (u32, String);

/// Several, where a socket is shared; and those that may be it, where the system names none.
fn processes_at(address: SocketAddr) -> (Vec<Process>, Vec<Process>) {
    let tcp = |l: &listeners::Listener| l.protocol == listeners::Protocol::TCP;
    let there = |listening: SocketAddr| listening.port() == address.port() && covers(listening, address);
    let all = listeners::get_all().into_iter().flatten().filter(|l| tcp(l) && there(l.socket));
    let told: Vec<_> = all.map(|l| (l.process.pid, l.process.name)).collect();
    let hidden = if told.is_empty() { hidden(address) } else { Vec::new() };
    (told, hidden)
}

#[cfg(target_os = "linux")]
use platform::{hidden, is_hidden_at};

/// There is nothing that hides from its own user.
#[cfg(not(target_os = "linux"))]
fn hidden(_address: SocketAddr) -> Vec<Process> {
    Vec::new()
}

/// Nor here.
#[cfg(not(target_os = "linux"))]
fn is_hidden_at(_address: SocketAddr, _pid: u32) -> bool {
    false
}

/// A listener on the unspecified address holds the port of every address.
fn covers(listening: SocketAddr, asked: SocketAddr) -> bool {
    listening.ip() == asked.ip() || listening.ip().is_unspecified()
}
