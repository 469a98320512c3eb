//! The rounds of the tunnels: nobody between, a bare relay, Leeward with a session's token, and the forward proxies that there
//! are. Then decrypted connections over a long way: directly, Leeward, and mitmproxy where it is installed.

use crate::{
    figure::{
        burst,
        intercept::{HOSTS, certificates, first_requests},
        tunnel::{Way, handshakes, idle, relays},
    },
    machine::Cores,
    peer::{self, Peer},
    process::Process,
    record::Record,
    session::{Session, is_leeward},
};
use anyhow::{Context, Result, ensure};
use scripted::Forward;
use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// A start of the harness's own relay.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is measured in a round.
pub(super) struct Tunnels<'a> {
    pub(super) cores: Cores,
    /// Speaks TLS.
    pub(super) server: SocketAddr,
    pub(super) authority: &'a Path,
    pub(super) time: Duration,
}

impl Tunnels<'_> {
    /// One round over all that tunnel.
    pub(super) async fn round(&self, peers: &[Box<dyn Peer>], forward: &[Box<dyn Peer>], record: &mut Record) -> Result<()> {
        let (source, _source) = self.process(self.cores.upstream, None)?;
        self.measure("direct", &Way::Bare, self.server, source, record).await?;
        for (to, is_source) in [(self.server, false), (source, true)] {
            let (relay, _relay) = self.process(self.cores.proxy, Some(to))?;
            if is_source {
                relays("bare relay", &Way::Bare, relay, self.time, record).await?;
            } else {
                handshakes("bare relay", &Way::Bare, relay, self.authority, self.time, record).await?;
            }
        }
        for peer in leewards(peers).chain(forward) {
            println!("tunnels: {}", peer.name());
            let home = peer::Home::new(self.server, Some(self.authority))?;
            let (process, _) = home.start(peer.as_ref(), self.cores)?;
            let place = home.place();
            let session = Session::of(peer.as_ref(), &place, false)?;
            let way = Way::Connect(place.listen, session.login.clone());
            let measured = async {
                self.measure(peer.name(), &way, self.server, source, record).await?;
                idle(peer.name(), &way, &process, record).await
            };
            measured.await.with_context(|| peer.name().to_owned())?;
        }
        Ok(())
    }

    async fn measure(&self, name: &str, way: &Way, server: SocketAddr, source: SocketAddr, record: &mut Record) -> Result<()> {
        handshakes(name, way, server, self.authority, self.time, record).await?;
        relays(name, way, source, self.time, record).await
    }

    /// One round over all that decrypt, the server far away behind a company's proxy.
    pub(super) async fn decrypted(&self, peers: &[Box<dyn Peer>], forward: &[Box<dyn Peer>], record: &mut Record) -> Result<()> {
        let link = burst::link(self.server).await?;
        first_requests("direct", &Way::Bare, link.address, self.authority, record).await?;
        let company = Forward::leading_to(link.address).await?;
        for peer in leewards(peers).chain(forward) {
            println!("intercept: {}", peer.name());
            let home = peer::Home::new(self.server, Some(self.authority))?.behind(company.address());
            let (_process, _) = home.start(peer.as_ref(), self.cores)?;
            let place = home.place();
            let session = Session::of(peer.as_ref(), &place, true)?;
            let authority = session.authority.as_deref().context("it decrypts nothing")?;
            let ways = HOSTS.map(|host| Way::Host(place.listen, session.login.clone(), host));
            let measured = async {
                certificates(peer.name(), &ways, link.address, authority, record).await?;
                first_requests(peer.name(), &ways[0], link.address, authority, record).await
            };
            measured.await.with_context(|| peer.name().to_owned())?;
        }
        Ok(())
    }

    /// A source, or a relay to somewhere.
    fn process(&self, core: usize, to: Option<SocketAddr>) -> Result<(SocketAddr, Process)> {
        let address = peer::free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("relay").arg("--address").arg(address.to_string());
        if let Some(to) = to {
            command.arg("--to").arg(to.to_string());
        }
        let process = Process::start(command, core)?;
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            ensure!(Instant::now() < end, "the relay on {address} does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok((address, process))
    }
}

fn leewards(peers: &[Box<dyn Peer>]) -> impl Iterator<Item = &Box<dyn Peer>> {
    peers.iter().filter(|peer| is_leeward(peer.as_ref()))
}
