//! Forward proxies that tunnel: tinyproxy as Debian has it, told to let everything through. Measured in tunnels only.

use super::{Peer, Place, write};
use crate::machine;
use anyhow::Result;
use std::{path::Path, process::Command};

/// Those of them that are there.
pub(crate) fn all() -> Vec<Box<dyn Peer>> {
    let mut all: Vec<Box<dyn Peer>> = Vec::new();
    if Path::new(Tinyproxy::PROGRAM).exists() {
        all.push(Box::new(Tinyproxy));
    }
    all
}

struct Tinyproxy;

impl Tinyproxy {
    const PROGRAM: &'static str = "/usr/bin/tinyproxy";
}

impl Peer for Tinyproxy {
    fn name(&self) -> &'static str {
        "tinyproxy"
    }

    fn version(&self) -> String {
        machine::said(Self::PROGRAM, &["-v"])
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let file = place.folder.join("tinyproxy.conf");
        let (ip, port) = (place.listen.ip(), place.listen.port());
        write(&file, &format!("Listen {ip}\nPort {port}\nTimeout 600\nMaxClients 1000\nLogLevel Error\nDisableViaHeader Yes\n"))?;
        let mut command = Command::new(Self::PROGRAM);
        command.arg("-d").arg("-c").arg(file);
        Ok(command)
    }
}
