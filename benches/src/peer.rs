//! The programs that are compared: how each is configured as a plain reverse proxy before one upstream, and started.
//!
//! Each gets one worker on one core and the settings that suit it best for agents' traffic: connections kept on both
//! sides, streams sent on at once. What a setting is for stands beside it.

mod envoy;
pub(crate) mod forward;
mod haproxy;
mod installed;
mod leeward;
mod nginx;
mod pingora;
mod router;

use crate::{args::Field, machine::Cores, process::Process, wire};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// Where a proxy stands.
pub(crate) struct Place<'a> {
    /// An empty folder of its own.
    pub(crate) folder: &'a Path,
    /// Where it is to listen.
    pub(crate) listen: SocketAddr,
    /// The upstream that it forwards to.
    pub(crate) upstream: SocketAddr,
    /// The certificate authority (PEM) of an upstream that speaks TLS.
    pub(crate) authority: Option<&'a Path>,
    /// A company's proxy that it has to go through.
    pub(crate) company: Option<SocketAddr>,
}

impl Place<'_> {
    /// What is spoken to the upstream.
    fn scheme(&self) -> &'static str {
        if self.authority.is_some() { "https" } else { "http" }
    }
}

/// How a program begins anew while it serves.
pub(crate) enum Reload {
    /// It has no such thing: whoever wants other settings ends it and starts it again.
    None,
    /// This signal.
    Signal(rustix::process::Signal),
    /// This command, to its end.
    Command(Command),
}

/// A program that can be compared.
pub(crate) trait Peer {
    /// As it is called in the tables.
    fn name(&self) -> &'static str;
    /// As it calls itself.
    fn version(&self) -> String;
    /// Writes its settings and says how it is started.
    fn command(&self, place: &Place<'_>) -> Result<Command>;
    /// How it begins anew.
    fn reload(&self, _place: &Place<'_>) -> Reload {
        Reload::None
    }
    /// What stands guard over it while an agent runs, if there is such a thing.
    fn watcher(&self, _place: &Place<'_>) -> Option<Command> {
        None
    }
    /// The process that took its place, if the watcher started one.
    fn left_behind(&self, _place: &Place<'_>) -> Option<u32> {
        None
    }
    /// The certificate (PEM) of the authority with which it decrypts, where that has no session.
    fn decrypts_by(&self, _place: &Place<'_>) -> Option<PathBuf> {
        None
    }
    /// How long it may take to start.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
    /// True for programs whose measurements are cut short, because they take seconds for what others do in microseconds.
    fn slow(&self) -> bool {
        false
    }
}

/// All that are there, Leeward first. Python and Node peers only where `--all` has installed them.
pub(crate) fn all(field: &Field, torture: bool) -> Result<Vec<Box<dyn Peer>>> {
    let mut all: Vec<Box<dyn Peer>> =
        vec![Box::new(leeward::Leeward::new("leeward", &field.leeward)?), Box::new(nginx::Nginx { retries: false })];
    if let Some(program) = &field.before {
        all.push(Box::new(leeward::Leeward::new("before", program)?));
    }
    if torture {
        all.push(Box::new(nginx::Nginx { retries: true }));
    }
    all.push(Box::new(haproxy::Haproxy { retries: false }));
    if torture {
        all.push(Box::new(haproxy::Haproxy { retries: true }));
    }
    if let Some(program) = &field.pingora {
        all.push(Box::new(pingora::Pingora::new(program)?));
    }
    if let Some(program) = &field.envoy {
        all.push(Box::new(envoy::Envoy::new(program)?));
    }
    if let Some(folder) = &field.installed {
        all.extend(installed::all(folder));
    }
    if !field.only.is_empty() {
        if let Some(unknown) = field.only.iter().find(|name| *name != "direct" && all.iter().all(|peer| peer.name() != **name)) {
            let names: Vec<_> = all.iter().map(|peer| peer.name()).collect();
            bail!("there is no `{unknown}` here; there are direct, {}", names.join(", "));
        }
        all.retain(|peer| field.only.iter().any(|name| name == peer.name()));
    }
    Ok(all)
}

/// Those that send again what was reset: Leeward, an earlier Leeward, nginx told to, and Envoy.
pub(crate) fn that_retry(field: &Field) -> Result<Vec<Box<dyn Peer>>> {
    let mut peers: Vec<Box<dyn Peer>> = vec![Box::new(leeward::Leeward::new("leeward", &field.leeward)?)];
    if let Some(program) = &field.before {
        peers.push(Box::new(leeward::Leeward::new("before", program)?));
    }
    peers.push(Box::new(nginx::Nginx { retries: true }));
    if let Some(program) = &field.envoy {
        peers.push(Box::new(envoy::Envoy::new(program)?));
    }
    Ok(peers)
}

/// A proxy that accepts.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    /// From the start of the program to its first accepted connection.
    pub(crate) start: Duration,
    _folder: tempfile::TempDir,
}

/// A proxy's folder and address, to start it in more than once.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    listen: SocketAddr,
    upstream: SocketAddr,
    authority: Option<PathBuf>,
    company: Option<SocketAddr>,
}

impl Home {
    pub(crate) fn new(upstream: SocketAddr, authority: Option<&Path>) -> Result<Self> {
        let authority = authority.map(Path::to_owned);
        Ok(Self { folder: tempfile::tempdir()?, listen: free_port()?, upstream, authority, company: None })
    }

    /// The same behind a company's proxy.
    pub(crate) fn behind(self, company: SocketAddr) -> Self {
        Self { company: Some(company), ..self }
    }

    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            folder: self.folder.path(),
            listen: self.listen,
            upstream: self.upstream,
            authority: self.authority.as_deref(),
            company: self.company,
        }
    }

    /// Starts a program here, and waits until it accepts.
    pub(crate) fn start(&self, peer: &dyn Peer, cores: Cores) -> Result<(Process, Duration)> {
        let command = peer.command(&self.place())?;
        let began = Instant::now();
        let mut process = Process::start(command, cores.proxy)?;
        while TcpStream::connect(self.listen).is_err() {
            if !process.runs() || began.elapsed() > peer.patience() {
                bail!("{} did not accept on {} within {:?}", peer.name(), self.listen, began.elapsed());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok((process, began.elapsed()))
    }
}

/// Starts a program in front of an upstream, and waits until it answers through it.
pub(crate) async fn start(peer: &dyn Peer, upstream: SocketAddr, authority: Option<&Path>, cores: Cores) -> Result<Running> {
    let home = Home::new(upstream, authority)?;
    let (process, start) = home.start(peer, cores)?;
    let running = Running { address: home.listen, process, start, _folder: home.folder };
    answers(running.address, peer.patience()).await.with_context(|| format!("{} does not answer", peer.name()))?;
    Ok(running)
}

/// Waits until a request is answered 200.
pub(crate) async fn answers(address: SocketAddr, patience: Duration) -> Result<()> {
    let request = wire::request(address, "", 256);
    let end = Instant::now() + patience;
    loop {
        let asked = async { wire::Line::open(address).await?.ask(&request).await };
        match tokio::time::timeout(patience, asked).await {
            Ok(Ok(answer)) if answer.status == 200 => return Ok(()),
            other if Instant::now() > end => bail!("{other:?}"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// A port of loopback that nobody uses now.
pub(crate) fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Writes a file of settings.
fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
