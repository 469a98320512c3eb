//! Agent starts under resets: four requests at the same moment, again and again, over HTTPS to an upstream whose edge
//! resets 40 % of all new connections and spoils two of five kept ones. The upstream is scripted and runs in this process;
//! the faults are drawn from the same seed for each program.

use crate::{link::Link, peer, record::Record, wire};
use anyhow::{Context, Result};
use scripted::{Fault, Moment, Plan, Upstream};
use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

/// The ways to the upstream, and how each is called in the tables.
pub(crate) const ROUND_TRIPS: [(Duration, &str); 2] =
    [(Duration::ZERO, "resets 0 ms"), (Duration::from_millis(50), "resets 50 ms")];
/// Requests at the same moment: what Claude Code sends when it starts.
const AT_ONCE: usize = 4;
/// From one start to the next.
const EVERY: Duration = Duration::from_millis(400);
/// Starts for each second of a load's measurement.
const STARTS: f64 = 50.0;
/// Where the draws begin.
const SEED: u64 = 19;

/// The scripted edge, and the way to it.
pub(crate) struct Edge {
    upstream: Upstream,
    link: Option<Link>,
    folder: tempfile::TempDir,
}

impl Edge {
    /// An edge without faults yet.
    pub(crate) async fn start(round_trip: Duration) -> Result<Self> {
        let upstream = Upstream::tls(Plan::none())?;
        let folder = tempfile::tempdir()?;
        let authority = upstream.authority_pem().context("an upstream without a certificate")?;
        std::fs::write(folder.path().join("authority.pem"), authority)?;
        let link = if round_trip.is_zero() { None } else { Some(Link::start(upstream.address(), round_trip).await?) };
        Ok(Self { upstream, link, folder })
    }

    /// Where proxies are to connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.link.as_ref().map_or(self.upstream.address(), |link| link.address)
    }

    /// Its certificate authority.
    pub(crate) fn authority(&self) -> std::path::PathBuf {
        self.folder.path().join("authority.pem")
    }
}

/// The faults of the figure.
fn faults() -> Plan {
    let draws = Mutex::new(SEED);
    Plan::by(move |moment| {
        let drawn = percent(&mut draws.lock().unwrap_or_else(PoisonError::into_inner));
        match (moment, drawn) {
            (Moment::Connection { .. }, 0..20) => Fault::ResetAtAccept,
            (Moment::Connection { .. }, 20..40) => Fault::ResetInTls,
            (Moment::Request { nth: 1.., .. }, 0..20) => Fault::ResetOnReuse,
            (Moment::Request { nth: 1.., .. }, 20..40) => Fault::CloseIdle(Duration::ZERO),
            _ => Fault::None,
        }
    })
}

/// The next of a row of numbers from 0 to 99 (splitmix64).
fn percent(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % 100
}

/// Starts of agents through a running proxy; `seconds` is what a load's measurement takes.
pub(crate) async fn measure(
    name: &str,
    key: &str,
    edge: &Edge,
    running: &peer::Running,
    seconds: f64,
    record: &mut Record,
) -> Result<()> {
    edge.upstream.follow(faults());
    let (mut failed, mut took) = (0, Vec::new());
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..((STARTS * seconds) as usize).max(10) {
        every.tick().await;
        let began = Instant::now();
        let mut asked = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (address, request) = (running.address, wire::request(running.address, "", 1024));
            asked.spawn(async move {
                let answer = timeout(wire::LIMIT, async { wire::Line::open(address).await?.ask(&request).await });
                matches!(answer.await, Ok(Ok(answer)) if answer.status == 200)
            });
        }
        failed += asked.join_all().await.into_iter().filter(|answered| !answered).count();
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    for (part, share) in [("p50", 0.50), ("p90", 0.90), ("p99", 0.99)] {
        record.add(name, &format!("{key} {part}"), took[((took.len() - 1) as f64 * share).round() as usize]);
    }
    record.add(name, &format!("{key} failed"), f64::from(u32::try_from(failed)?));
    Ok(())
}
