//! Forward proxies that tunnel: tinyproxy as Debian has it, told to let everything through; and mitmproxy, which decrypts.
//! Measured in tunnels only.

use super::{Peer, Place, write};
use crate::machine;
use anyhow::Result;
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Those that tunnel, as far as they are there, and why others are left out.
pub(crate) fn tunnelling() -> (Vec<Box<dyn Peer>>, Vec<String>) {
    let mut all: Vec<Box<dyn Peer>> = Vec::new();
    if Path::new(Tinyproxy::PROGRAM).exists() {
        all.push(Box::new(Tinyproxy));
        return (all, Vec::new());
    }
    (all, vec!["tinyproxy (tunnels): it is not installed".to_owned()])
}

/// Those that decrypt, or let everything through as it is where they should.
pub(crate) fn decrypting(installed: Option<&Path>, decrypts: bool) -> (Vec<Box<dyn Peer>>, Vec<String>) {
    match installed.map(|folder| folder.join("mitmproxy/bin/mitmdump")).filter(|program| program.exists()) {
        Some(program) => (vec![Box::new(Mitmproxy { program, decrypts })], Vec::new()),
        None => (Vec::new(), vec!["mitmproxy (tunnels, intercept): it is not installed; `--all` installs it".to_owned()]),
    }
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
        write(&file, &format!("Listen {ip}\nPort {port}\nTimeout 600\nMaxClients 2000\nLogLevel Error\nDisableViaHeader Yes\n"))?;
        let mut command = Command::new(Self::PROGRAM);
        command.arg("-d").arg("-c").arg(file);
        Ok(command)
    }
}

/// mitmproxy as the proxy of an agent, behind a company's.
struct Mitmproxy {
    program: PathBuf,
    decrypts: bool,
}

impl Peer for Mitmproxy {
    fn name(&self) -> &'static str {
        "mitmproxy"
    }

    fn version(&self) -> String {
        machine::said(&self.program.to_string_lossy(), &["--version"])
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.args(["--quiet", "--listen-host", "127.0.0.1", "--set", "flow_detail=0", "--set", "stream_large_bodies=1"]);
        command.args(["--ssl-insecure", "--set", "http2=false"]);
        command.arg("--set").arg(format!("confdir={}", place.folder.display()));
        command.arg("--listen-port").arg(place.listen.port().to_string());
        if !self.decrypts {
            command.args(["--ignore-hosts", ".*"]);
        }
        if let Some(company) = place.company {
            command.arg("--mode").arg(format!("upstream:http://{company}"));
        }
        Ok(command)
    }

    fn decrypts_by(&self, place: &Place<'_>) -> Option<PathBuf> {
        Some(place.folder.join("mitmproxy-ca-cert.pem"))
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn slow(&self) -> bool {
        true
    }
}
