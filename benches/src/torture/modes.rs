//! Tunnels and decrypted connections under faults: agents whose every question has a connection of its own, by CONNECT and TLS,
//! to an API behind a company's proxy. Leeward, and mitmproxy where it is installed.

use super::{Verdict, Verdicts, upstream_faults::first_attempt};
use crate::{
    args, clock,
    figure::{
        intercept::HOSTS,
        tunnel::{Way, connector},
    },
    machine::Cores,
    peer::{Home, Peer, forward},
    session::{Session, is_leeward},
    wire::Line,
};
use anyhow::{Context, Result, ensure};
use scripted::{Fault, Forward, Moment, Plan, Upstream};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// No question of the plan needs this long.
const LIMIT: Duration = Duration::from_secs(15);
/// Questions of each kind.
const QUESTIONS: u64 = 100;

/// One row.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    decrypts: bool,
    plan: fn() -> Plan,
}

/// All of them. What was sent through a tunnel is repaired by nobody, so there is no such row.
pub(super) const ROWS: [Row; 5] = [
    Row {
        name: "tunnel-at-accept",
        what: "tunnels: every second connection to the server is reset at once",
        decrypts: false,
        plan: || every_second(Fault::ResetAtAccept),
    },
    Row {
        name: "tunnel-in-tls",
        what: "tunnels: every second TLS handshake is reset",
        decrypts: false,
        plan: || every_second(Fault::ResetInTls),
    },
    Row {
        name: "intercept-at-accept",
        what: "decrypted: every second connection to the server is reset at once",
        decrypts: true,
        plan: || every_second(Fault::ResetAtAccept),
    },
    Row {
        name: "intercept-in-tls",
        what: "decrypted: every second TLS handshake is reset",
        decrypts: true,
        plan: || every_second(Fault::ResetInTls),
    },
    Row {
        name: "intercept-before-head",
        what: "decrypted: the first attempt of each request is reset before its response",
        decrypts: true,
        plan: || first_attempt(Fault::ResetBeforeHeaders),
    },
];

/// Each response is the last of its connection, so that each question needs a new one.
fn every_second(fault: Fault) -> Plan {
    Plan::by(move |moment| match moment {
        Moment::Connection { connection } if connection % 2 == 0 => fault.clone(),
        Moment::Connection { .. } => Fault::None,
        Moment::Request { .. } => Fault::CloseIdle(Duration::ZERO),
    })
}

/// Runs the rows that are wanted; who is left out and why.
pub(super) async fn run(
    args: &args::Torture,
    peers: &[Box<dyn Peer>],
    cores: Cores,
    verdicts: &mut Verdicts,
) -> Result<Vec<String>> {
    let mut left_out = Vec::new();
    for row in ROWS.iter().filter(|row| args.faults.is_empty() || args.faults.iter().any(|name| name == row.name)) {
        let (others, without) = forward::decrypting(args.field.installed.as_deref(), row.decrypts);
        let others = others.iter().filter(|peer| args.field.only.is_empty() || args.field.only.iter().any(|n| n == peer.name()));
        left_out = without;
        for peer in peers.iter().filter(|peer| is_leeward(peer.as_ref())).chain(others) {
            let percent = if peer.slow() { args.percent.div_ceil(10) } else { args.percent };
            let asked = (QUESTIONS * u64::from(percent) / 100).max(1);
            let verdict =
                one(row, peer.as_ref(), asked, cores).await.with_context(|| format!("{}: {}", row.name, peer.name()))?;
            println!(
                "{:<22} {:<14} {:>5} of {:>5} failed, alive {:?} {}",
                row.name,
                peer.name(),
                verdict.failed,
                verdict.asked,
                verdict.alive,
                verdict.note
            );
            verdicts.entry(row.name.to_owned()).or_default().insert(peer.name().to_owned(), verdict);
        }
    }
    Ok(left_out)
}

async fn one(row: &Row, peer: &dyn Peer, asked: u64, cores: Cores) -> Result<Verdict> {
    let upstream = Upstream::tls(Plan::none())?;
    let company = Forward::leading_to(upstream.address()).await?;
    let folder = tempfile::tempdir()?;
    let real = folder.path().join("real.pem");
    std::fs::write(&real, upstream.authority_pem().context("an authority")?)?;
    let home = Home::new(upstream.address(), Some(&real))?.behind(company.address());
    let (_process, _) = home.start(peer, cores)?;
    let session = Session::of(peer, &home.place(), row.decrypts)?;
    // Its agents trust the one authority whose certificates they should see: no other will do.
    let trusted = if row.decrypts { session.authority.as_deref().context("it decrypts nothing")? } else { &real };
    let agent = Agent::new(Way::Host(home.place().listen, session.login.clone(), HOSTS[0]), trusted)?;
    agent.ask(&upstream).await.context("it does not answer without faults")?;
    upstream.follow((row.plan)());
    let (mut failed, mut slowest) = (0, Duration::ZERO);
    for _ in 0..asked {
        let began = Instant::now();
        failed += u64::from(agent.ask(&upstream).await.is_err());
        slowest = slowest.max(began.elapsed());
    }
    upstream.follow(Plan::none());
    let alive = agent.ask(&upstream).await.is_ok();
    let note = format!("slowest response {:.0} ms", slowest.as_secs_f64() * 1e3);
    Ok(Verdict { asked, failed, alive: Some(alive), recovery_ms: None, note })
}

struct Agent {
    way: Way,
    tls: TlsConnector,
}

impl Agent {
    fn new(way: Way, trusted: &Path) -> Result<Self> {
        Ok(Self { way, tls: connector(trusted)? })
    }

    /// One question on a connection of its own.
    async fn ask(&self, upstream: &Upstream) -> Result<()> {
        let body = r#"{"model":"bench","max_tokens":24}"#;
        let request = format!(
            "POST /v1/messages HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nanthropic-version: 2023-06-01\r\n\
             x-bench-id: {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.way.host(),
            clock::now(),
            body.len()
        );
        let asked = async {
            let stream = self.way.open_tls(upstream.address(), &self.tls).await?;
            let answer = Line::over(stream).ask(request.as_bytes()).await?;
            ensure!(answer.status == 200, "answered {}", answer.status);
            Ok(())
        };
        timeout(LIMIT, asked).await.context("no answer in time")?
    }
}
