//! The benchmark: rounds over all proxies, the order turned by one each round, so that whatever the machine does meanwhile
//! meets all of them alike. Then what needs no rounds, and the page.

mod bars;
mod page;
mod tunnels;

use crate::{
    args,
    figure::{self, Subject},
    link::Link,
    machine::{self, Cores},
    peer::{self, Peer, forward},
    process::Process,
    record::Record,
    table,
};
use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// The parts, in their order.
const PARTS: &[&str] = &["speed", "stream", "body", "burst", "tunnels", "resets", "memory", "growth", "idle"];
/// How long nobody asks anything.
const IDLE: Duration = Duration::from_secs(60);
/// A program that is slow is measured for at most this long.
const SLOW: Duration = Duration::from_millis(500);

/// Runs it all and writes the page.
pub(crate) fn run(args: &args::Bench) -> Result<()> {
    let cores = Cores::choose()?;
    cores.take_mine()?;
    ensure!(machine::raise_file_limit() > 11_000, "5,000 clients need 11,000 open files; raise the limit (`ulimit -n`)");
    for part in &args.parts {
        ensure!(PARTS.contains(&part.as_str()), "there is no part `{part}`; there are {}", PARTS.join(", "));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let peers = peer::all(&args.field, false)?;
    let mut run = Run { args, cores, upstreams: Upstreams::start(cores)?, record: Record::default(), left_out: BTreeSet::new() };
    let began = Instant::now();
    runtime.block_on(run.all(&peers))?;
    if let Some(earlier) = &args.earlier {
        let raw = fs::read_to_string(earlier).with_context(|| format!("cannot read {}", earlier.display()))?;
        let earlier = serde_json::from_str(&raw).with_context(|| format!("{} holds no figures", earlier.display()))?;
        run.record.fill_up(earlier);
    }
    let mut page = page::page(&run.record, &peers, args, cores, began.elapsed());
    if args.earlier.is_some() {
        page += &format!(
            "\nThis run measured {}; the other parts are of an earlier run of the same programs.\n",
            args.parts.join(", ")
        );
    }
    if !run.left_out.is_empty() {
        page += "\n## Left out\n\n";
        run.left_out.iter().for_each(|why| page += &format!("- {why}\n"));
    }
    table::save(&args.field.out, &page)?;
    let raw = args.field.out.with_extension("json");
    table::save(&raw, &serde_json::to_string(&run.record)?)?;
    println!("{page}\nSaved as {} and {}.", args.field.out.display(), raw.display());
    Ok(())
}

struct Run<'a> {
    args: &'a args::Bench,
    cores: Cores,
    upstreams: Upstreams,
    record: Record,
    /// What a program could not be measured in, and why.
    left_out: BTreeSet<String>,
}

impl Run<'_> {
    fn wants(&self, part: &str) -> bool {
        self.args.parts.is_empty() || self.args.parts.iter().any(|wanted| wanted == part)
    }

    async fn all(&mut self, peers: &[Box<dyn Peer>]) -> Result<()> {
        let rounds: Vec<&str> = ["speed", "stream", "body", "burst"].into_iter().filter(|part| self.wants(part)).collect();
        for round in 0..if rounds.is_empty() { 0 } else { self.args.rounds } {
            // None is the load that goes to the upstream directly.
            let mut order: Vec<Option<&dyn Peer>> = peers.iter().map(|peer| Some(peer.as_ref())).collect();
            if self.args.field.only.is_empty() || self.args.field.only.iter().any(|name| name == "direct") {
                order.insert(0, None);
            }
            let turn = round % order.len();
            order.rotate_left(turn);
            for peer in order {
                let name = peer.map_or("direct", Peer::name);
                println!("round {} of {}: {name}", round + 1, self.args.rounds);
                self.round(peer, &rounds).await.with_context(|| format!("round {} of {name}", round + 1))?;
            }
        }
        if self.wants("tunnels") {
            self.tunnels(peers).await?;
        }
        if self.wants("resets") {
            self.resets().await?;
        }
        for peer in peers {
            let name = peer.name();
            if self.wants("memory") {
                println!("memory: {name}");
                let running = peer::start(peer.as_ref(), self.upstreams.plain, None, self.cores).await?;
                let subject = self.subject(peer.as_ref(), &running);
                let mut record = Record::default();
                match figure::memory::measure(&subject, &mut record).await {
                    Err(why) if subject.slow => _ = self.left_out.insert(format!("{name} (memory): {why:#}")),
                    measured => measured.with_context(|| format!("memory of {name}"))?,
                }
                self.record.merge(record);
            }
            if self.wants("growth") && !peer.slow() {
                println!("growth: {name}");
                let running = peer::start(peer.as_ref(), self.upstreams.plain, None, self.cores).await?;
                let mut subject = self.subject(peer.as_ref(), &running);
                subject.time = subject.time.min(Duration::from_secs(2));
                let mut record = Record::default();
                figure::growth::measure(&subject, &mut record).await.with_context(|| format!("growth of {name}"))?;
                self.record.merge(record);
            }
        }
        if self.wants("idle") {
            self.idle(peers).await?;
        }
        Ok(())
    }

    fn subject<'s>(&self, peer: &'s dyn Peer, running: &'s peer::Running) -> Subject<'s> {
        let time = Duration::from_secs_f64(self.args.seconds);
        Subject {
            name: peer.name(),
            address: running.address,
            process: Some(&running.process),
            upstream: self.upstreams.plain_process.pid(),
            time: if peer.slow() { time.min(SLOW) } else { time },
            slow: peer.slow(),
        }
    }

    async fn round(&mut self, peer: Option<&dyn Peer>, parts: &[&str]) -> Result<()> {
        let running = match peer {
            Some(peer) => Some(peer::start(peer, self.upstreams.plain, None, self.cores).await?),
            None => None,
        };
        let subject = match (peer, &running) {
            (Some(peer), Some(running)) => self.subject(peer, running),
            _ => Subject {
                name: "direct",
                address: self.upstreams.plain,
                process: None,
                upstream: self.upstreams.plain_process.pid(),
                time: Duration::from_secs_f64(self.args.seconds),
                slow: false,
            },
        };
        let mut record = Record::default();
        if let Some(running) = &running {
            record.add(subject.name, "start", running.start.as_secs_f64() * 1e3);
        }
        for part in parts {
            let measured = match *part {
                "speed" => figure::speed::measure(&subject, &mut record).await,
                "stream" => figure::stream::measure(&subject, &mut record).await,
                "body" => figure::body::measure(&subject, &mut record).await,
                _ => self.burst(peer, &mut record).await,
            };
            match measured {
                // Programs that read and write messages anew do not let everything pass.
                Err(why) if subject.slow => _ = self.left_out.insert(format!("{} ({part}): {why:#}", subject.name)),
                measured => measured.with_context(|| (*part).to_owned())?,
            }
        }
        self.record.merge(record);
        Ok(())
    }

    async fn burst(&self, peer: Option<&dyn Peer>, record: &mut Record) -> Result<()> {
        let link: Link = figure::burst::link(self.upstreams.tls).await?;
        let authority = self.upstreams.certificate();
        match peer {
            None => figure::burst::direct(link.address, &authority, record).await,
            Some(peer) => {
                let running = peer::start(peer, link.address, Some(&authority), self.cores).await?;
                figure::burst::through(peer.name(), running.address, record).await
            }
        }
    }

    async fn tunnels(&mut self, peers: &[Box<dyn Peer>]) -> Result<()> {
        let authority = self.upstreams.certificate();
        let time = Duration::from_secs_f64(self.args.seconds);
        let tunnels = tunnels::Tunnels { cores: self.cores, server: self.upstreams.tls, authority: &authority, time };
        let (tunnelling, without) = forward::tunnelling();
        let (decrypting, neither) = forward::decrypting(self.args.field.installed.as_deref(), true);
        self.left_out.extend(without.into_iter().chain(neither));
        for round in 0..self.args.rounds {
            println!("tunnels: round {} of {}", round + 1, self.args.rounds);
            let mut record = Record::default();
            tunnels.round(peers, &tunnelling, &mut record).await.context("tunnels")?;
            tunnels.decrypted(peers, &decrypting, &mut record).await.context("intercept")?;
            self.record.merge(record);
        }
        Ok(())
    }

    /// Only programs that send again; the torture's table shows what the others lose.
    async fn resets(&mut self) -> Result<()> {
        for (round_trip, key) in figure::resets::ROUND_TRIPS {
            for peer in peer::that_retry(&self.args.field)? {
                println!("{key}: {}", peer.name());
                let edge = figure::resets::Edge::start(round_trip).await?;
                let running = peer::start(peer.as_ref(), edge.address(), Some(&edge.authority()), self.cores).await?;
                let measured =
                    figure::resets::measure(peer.name(), key, &edge, &running, self.args.seconds, &mut self.record).await;
                measured.with_context(|| format!("{key} of {}", peer.name()))?;
            }
        }
        Ok(())
    }

    async fn idle(&mut self, peers: &[Box<dyn Peer>]) -> Result<()> {
        println!("idle: all of them, {} s", IDLE.as_secs());
        let mut running = Vec::new();
        for peer in peers {
            running.push((peer.name(), peer::start(peer.as_ref(), self.upstreams.plain, None, self.cores).await?));
        }
        // What the start still does is not idleness.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let shown: Vec<(&str, &Process)> = running.iter().map(|(name, running)| (*name, &running.process)).collect();
        figure::idle::measure(&shown, IDLE, &mut self.record).await;
        Ok(())
    }
}

/// The two upstreams, each a process of its own.
struct Upstreams {
    plain: SocketAddr,
    tls: SocketAddr,
    plain_process: Process,
    _tls_process: Process,
    folder: tempfile::TempDir,
}

impl Upstreams {
    fn start(cores: Cores) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (certificate, key) = certificate(folder.path())?;
        let (plain, tls) = (peer::free_port()?, peer::free_port()?);
        let program = std::env::current_exe()?;
        let start = |address: SocketAddr, more: &[&Path]| {
            let mut command = Command::new(&program);
            command.arg("upstream").arg("--address").arg(address.to_string()).args(more);
            Process::start(command, cores.upstream)
        };
        let flags = [Path::new("--certificate"), &certificate, Path::new("--key"), &key];
        let (plain_process, tls_process) = (start(plain, &[])?, start(tls, &flags)?);
        for address in [plain, tls] {
            let end = Instant::now() + Duration::from_secs(10);
            while std::net::TcpStream::connect(address).is_err() {
                ensure!(Instant::now() < end, "the upstream on {address} does not start");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(Self { plain, tls, plain_process, _tls_process: tls_process, folder })
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }
}

/// A throw-away certificate for loopback and the hosts that are decrypted, which is its own authority.
fn certificate(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let names = std::iter::once("localhost").chain(figure::intercept::HOSTS).map(str::to_owned).collect::<Vec<_>>();
    let mut params = rcgen::CertificateParams::new(names)?;
    params.subject_alt_names.push(rcgen::SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let files = (folder.join("certificate.pem"), folder.join("key.pem"));
    fs::write(&files.0, certificate.pem())?;
    fs::write(&files.1, key.serialize_pem())?;
    Ok(files)
}
