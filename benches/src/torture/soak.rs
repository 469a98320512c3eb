//! The soak: all programs side by side for minutes, each with its own upstream that resets one connection or request in
//! twenty, and what their clients and their memory say of it.

use super::agent::Agent;
use crate::{
    machine::Cores,
    peer::{self, Home, Peer},
    process::Process,
};
use anyhow::Result;
use scripted::{Plan, Upstream};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Requests a second for each program.
const RATE: u32 = 50;
/// Faults in a hundred.
const PERCENT: u8 = 5;
/// Memory is looked at this often.
const LOOK: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Soak {
    pub(super) asked: u64,
    pub(super) failed: u64,
    /// What the agents said of them.
    pub(super) reasons: BTreeMap<String, u64>,
    pub(super) faults: u64,
    /// Kibibytes a minute that its memory grew in the second half, by least squares.
    pub(super) slope: f64,
    /// MiB at the end.
    pub(super) memory: f64,
}

struct Running {
    name: &'static str,
    process: Process,
    upstream: Upstream,
    agents: (Agent, Agent),
    soak: Soak,
    memory: Vec<(f64, f64)>,
    _home: Home,
}

pub(super) async fn run(peers: &[Box<dyn Peer>], cores: Cores, time: Duration) -> Result<BTreeMap<String, Soak>> {
    let mut all = Vec::new();
    for peer in peers {
        let upstream = Upstream::plain(Plan::repairable(81, PERCENT))?;
        let home = Home::new(upstream.address(), None)?;
        let (process, _) = home.start(peer.as_ref(), cores)?;
        let address = home.place().listen;
        peer::answers(address, peer.patience()).await?;
        let agents = (Agent::new(address), Agent::new(address));
        all.push(Running {
            name: peer.name(),
            process,
            upstream,
            agents,
            soak: Soak::default(),
            memory: Vec::new(),
            _home: home,
        });
    }
    println!("soak: {:.1} minutes, all of them", time.as_secs_f64() / 60.0);
    let began = Instant::now();
    let rounds = futures_util::future::join_all(all.iter_mut().map(|one| one.work(began, time)));
    rounds.await;
    Ok(all.into_iter().map(|one| (one.name.to_owned(), one.finish(time))).collect())
}

impl Running {
    async fn work(&mut self, began: Instant, time: Duration) {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / RATE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut looked = began;
        while began.elapsed() < time {
            pace.tick().await;
            // Three of four on a kept connection.
            let agent = if self.soak.asked % 4 == 3 { &mut self.agents.1 } else { &mut self.agents.0 };
            if self.soak.asked % 4 == 3 {
                agent.anew();
            }
            self.soak.asked += 1;
            if let Err(why) = agent.ask().await {
                self.soak.failed += 1;
                *self.soak.reasons.entry(why.to_string()).or_default() += 1;
                agent.anew();
            }
            if looked.elapsed() > LOOK {
                looked = Instant::now();
                self.memory.push((began.elapsed().as_secs_f64() / 60.0, self.process.memory().rss as f64 / 1024.0));
            }
        }
    }

    fn finish(mut self, time: Duration) -> Soak {
        let half = time.as_secs_f64() / 120.0;
        let late: Vec<_> = self.memory.iter().copied().filter(|(minute, _)| *minute > half).collect();
        self.soak.slope = slope(&late);
        self.soak.memory = late.last().map_or(0.0, |(_, kib)| kib / 1024.0);
        self.soak.faults = self.upstream.log().read(|record| record.faults().values().sum());
        self.soak
    }
}

/// The slope of the line of least squares; 0 for fewer than two points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let over: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let under: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if under > 0.0 { over / under } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn a_slope_is_found() {
        assert_eq!(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), 2.0);
        assert_eq!(slope(&[(1.0, 4.0)]), 0.0);
        assert_eq!(slope(&[]), 0.0);
    }
}
