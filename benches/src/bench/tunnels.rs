//! The rounds of the tunnels: nobody between, a bare relay, Leeward with a session's token, and the forward proxies that there are.

use crate::{
    figure::tunnel::{Way, handshakes, relays},
    machine::Cores,
    peer::{self, Peer, forward},
    process::Process,
    record::Record,
};
use anyhow::{Context, Result, ensure};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// A token has 32 characters at least. This one opens tunnels of a process that lives for seconds.
const TOKEN: &str = "00000000000000000000000000000000";
/// `leeward:TOKEN` in base 64.
const LOGIN: &str = "Basic bGVld2FyZDowMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMA==";

/// What is measured in a round.
pub(super) struct Tunnels<'a> {
    pub(super) cores: Cores,
    /// Speaks TLS.
    pub(super) server: SocketAddr,
    pub(super) authority: &'a Path,
    pub(super) time: Duration,
}

impl Tunnels<'_> {
    /// One round over all of them.
    pub(super) async fn round(&self, peers: &[Box<dyn Peer>], record: &mut Record) -> Result<()> {
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
        let forward = forward::all();
        let tunnelling = peers.iter().filter(|peer| matches!(peer.name(), "leeward" | "before")).chain(&forward);
        for peer in tunnelling {
            println!("tunnels: {}", peer.name());
            let home = peer::Home::new(self.server, Some(self.authority))?;
            let (_process, _) = home.start(peer.as_ref(), self.cores)?;
            let place = home.place();
            let session = match peer.name() {
                "leeward" | "before" => Some(session(place.folder, place.listen)?),
                _ => None,
            };
            let way = Way::Connect(place.listen, session.as_ref().map(|_| LOGIN.to_owned()));
            self.measure(peer.name(), &way, self.server, source, record).await.with_context(|| peer.name().to_owned())?;
        }
        Ok(())
    }

    async fn measure(&self, name: &str, way: &Way, server: SocketAddr, source: SocketAddr, record: &mut Record) -> Result<()> {
        handshakes(name, way, server, self.authority, self.time, record).await?;
        relays(name, way, source, self.time, record).await
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
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            ensure!(Instant::now() < end, "the relay on {address} does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok((address, process))
    }
}

/// Registers a session of Leeward's; it lasts as long as the stream.
fn session(folder: &Path, address: SocketAddr) -> Result<TcpStream> {
    let file = folder.join("state").join("control.token");
    let end = Instant::now() + Duration::from_secs(10);
    // It is there a moment after the port.
    let token = loop {
        match std::fs::read_to_string(&file) {
            Ok(token) if !token.trim().is_empty() => break token,
            other => ensure!(Instant::now() < end, "no control token: {other:?}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let body = format!("{{\"agent\":\"bench\",\"pid\":1,\"tunnel_token\":\"{TOKEN}\"}}");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "POST /_leeward/v1/sessions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        token.trim(),
        body.len()
    )?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    ensure!(&head == b"HTTP/1.1 200", "no session: {}", String::from_utf8_lossy(&head));
    Ok(stream)
}
