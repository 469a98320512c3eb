//! Who holds a port, for the sentence the user sees. Best effort: other users' processes may stay unnamed.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id, where the system tells.
    pub pid: Option<u32>,
    /// Its program, where the system tells.
    pub program: Option<String>,
    /// True when it answers as a Leeward.
    pub leeward: bool,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.leeward { "another Leeward" } else { "another program" };
        match (&self.program, self.pid) {
            (Some(program), Some(pid)) if self.leeward => write!(f, "{kind} ({program}, pid {pid})"),
            (Some(program), Some(pid)) => write!(f, "{program} (pid {pid})"),
            (None, Some(pid)) => write!(f, "{kind} (pid {pid})"),
            _ => write!(f, "{kind}, which the system does not name"),
        }
    }
}

/// Names the process that listens on the port of `address`. Blocks for at most about half a second.
pub fn holder_of(address: SocketAddr) -> Holder {
    let (pid, program) = processes_at(address).next().map_or((None, None), |p| (Some(p.pid), Some(p.name)));
    Holder { pid, program, leeward: answers_as_leeward(address) }
}

/// True when the system says that the process listens at `address`. Asks only the system, and blocks while it answers.
pub fn is_held_by(address: SocketAddr, pid: u32) -> bool {
    processes_at(address).any(|process| process.pid == pid)
}

/// Several, where a socket is shared.
fn processes_at(address: SocketAddr) -> impl Iterator<Item = listeners::Process> {
    let tcp = |l: &listeners::Listener| l.protocol == listeners::Protocol::TCP;
    let there = move |l: &listeners::Listener| l.socket.port() == address.port() && covers(l.socket, address);
    listeners::get_all().into_iter().flatten().filter(move |l| tcp(l) && there(l)).map(|l| l.process)
}

/// A listener on the unspecified address holds the port of every address.
fn covers(listening: SocketAddr, asked: SocketAddr) -> bool {
    listening.ip() == asked.ip() || listening.ip().is_unspecified()
}

fn answers_as_leeward(address: SocketAddr) -> bool {
    const LIMIT: Duration = Duration::from_millis(250);
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.write_all(format!("GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
        let mut head = [0u8; 1024];
        let read = stream.read(&mut head)?;
        Ok(String::from_utf8_lossy(&head[..read]).to_ascii_lowercase().contains("x-leeward:"))
    };
    ask().unwrap_or(false)
}
