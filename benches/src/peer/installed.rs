//! Python and Node programs that `cargo xtask bench --all` installed from their registries, as plain passes to an upstream.

use super::{Peer, Place};
use crate::machine;
use anyhow::Result;
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Those of them that are there.
pub(super) fn all(folder: &Path) -> Vec<Box<dyn Peer>> {
    let mut all: Vec<Box<dyn Peer>> = Vec::new();
    let mitmdump = folder.join("mitmproxy/bin/mitmdump");
    if mitmdump.exists() {
        all.push(Box::new(Mitmproxy { program: mitmdump }));
    }
    all
}

/// mitmproxy as a reverse proxy, without a screen.
struct Mitmproxy {
    program: PathBuf,
}

impl Peer for Mitmproxy {
    fn name(&self) -> &'static str {
        "mitmproxy"
    }

    fn version(&self) -> String {
        machine::said(&self.program.to_string_lossy(), &["--version"])
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let scheme = if place.authority.is_some() { "https" } else { "http" };
        let mut command = Command::new(&self.program);
        command.args(["--quiet", "--listen-host", "127.0.0.1", "--set", "flow_detail=0"]);
        // Bodies pass as they come, or a stream would be shown when it is over.
        command.args(["--set", "stream_large_bodies=1", "--set", "keep_host_header=true", "--ssl-insecure"]);
        command.arg("--set").arg(format!("confdir={}", place.folder.display()));
        command.arg("--listen-port").arg(place.listen.port().to_string());
        command.arg("--mode").arg(format!("reverse:{scheme}://{}", place.upstream));
        Ok(command)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn slow(&self) -> bool {
        true
    }
}
