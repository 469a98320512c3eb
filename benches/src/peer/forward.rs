//! Forward proxies that tunnel: tinyproxy and squid as Debian has them, told to let everything through. Measured in tunnels only.

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
    if Path::new(Squid::PROGRAM).exists() {
        all.push(Box::new(Squid));
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

struct Squid;

impl Squid {
    const PROGRAM: &'static str = "/usr/sbin/squid";
}

impl Peer for Squid {
    fn name(&self) -> &'static str {
        "squid"
    }

    fn version(&self) -> String {
        machine::said(Self::PROGRAM, &["-v"])
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let (file, folder) = (place.folder.join("squid.conf"), place.folder.display());
        let user = machine::said("id", &["-un"]);
        write(
            &file,
            &format!(
                "http_port {}\nhttp_access allow all\ncache deny all\naccess_log none\ncache_log {folder}/cache.log\n\
                 pid_filename {folder}/squid.pid\ncoredump_dir {folder}\ncache_effective_user {user}\nshutdown_lifetime 0 seconds\n",
                place.listen
            ),
        )?;
        let mut command = Command::new(Self::PROGRAM);
        command.arg("-N").arg("-f").arg(file);
        Ok(command)
    }

    fn patience(&self) -> std::time::Duration {
        std::time::Duration::from_secs(30)
    }
}
