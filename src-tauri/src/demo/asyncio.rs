//! The system of the first report, where Python is there: CPython's own Proactor event loop, in a process of its own.
//!
//! Runs the script beside this file and nothing else; the demo goes on without it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

const SCRIPT: &str = include_str!("asyncio.py");
/// How an interpreter may be called.
const NAMES: [&str; 2] = ["python3", "python"];
/// A cold start of Python, with a virus scanner that looks at each file.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
/// Longest version that is shown.
const VERSION: usize = 12;

/// The running process; dropping it ends it.
#[derive(Debug)]
pub(super) struct Asyncio {
    address: SocketAddr,
    version: String,
    _process: Child,
}

impl Asyncio {
    /// `None` where there is no Python that can run it (CPython 3.7 or newer).
    pub(super) async fn start() -> Option<Self> {
        for name in NAMES {
            if let Some(running) = Self::by(name).await {
                return Some(running);
            }
        }
        None
    }

    async fn by(program: &str) -> Option<Self> {
        let mut command = Command::new(program);
        // Isolated: neither the folder nor the user's variables decide what it imports. Its input ends with this process.
        command.args(["-I", "-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.kill_on_drop(true).spawn().ok()?;
        let mut lines = BufReader::new(process.stdout.take()?).lines();
        let line = timeout(STARTS_WITHIN, lines.next_line()).await.ok()?.ok()??;
        let (port, version) = told(&line)?;
        Some(Self { address: (Ipv4Addr::LOCALHOST, port).into(), version, _process: process })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Python's version, as `3.12.1`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }
}

/// What the script's line says: its port and its version.
fn told(line: &str) -> Option<(u16, String)> {
    let (port, version) = line.trim().split_once(' ')?;
    let plain = version.chars().all(|c| c.is_ascii_digit() || c == '.') && version.len() <= VERSION;
    plain.then_some((port.parse().ok()?, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_port_and_a_version_are_believed() {
        assert_eq!(told("4711 3.12.1\r\n"), Some((4711, "3.12.1".to_owned())));
        for other in ["", "Python was not found", "4711", "70000 3.12.1", "4711 3.12.1\u{1b}[2J", "4711 1234567890.12.1"] {
            assert_eq!(told(other), None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_program_that_says_something_else_is_no_python() {
        assert!(Asyncio::by("rustc").await.is_none());
        assert!(Asyncio::by("no-such-program-anywhere").await.is_none());
    }
}
