//! The second seed by mode: the report's own four start-up fetches, each on a connection of its own, while one kind of fault
//! strikes. Directly, by a base URL, in `auto` and in `intercept`.

use super::{
    client::{Client, Request, START},
    engine::Proxied,
    error::Error,
    progress::Step,
    starts::{self, PERCENT, REQUEST, Reached},
};
use scripted::{Fault, Forward, Moment, Plan, Upstream};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Agents that start in each cell.
pub(super) const STARTS: u64 = 10;
/// Cells of the table.
pub(super) const CELLS: u64 = (Mode::ALL.len() * KINDS.len()) as u64;
/// So often Leeward sends an inference again; who is reset more often is not repaired by anybody.
const RESETS: u64 = 2;
/// The host of all four.
const HOST: &str = "api.anthropic.com";
/// How long agents wait for what is no inference.
const PATIENCE: Duration = Duration::from_secs(5);
/// The kinds of faults: their names in JSON and as rows.
const KINDS: [(&str, &str, Fault); 3] = [
    ("accept", "reset at accept", Fault::ResetAtAccept),
    ("handshake", "reset in the TLS handshake", Fault::ResetInTls),
    ("before-response", "reset before the response", Fault::ResetBeforeHeaders),
];
/// The fetches of the report by their names in JSON; the last one is the only inference.
const FETCHES: [(&str, &str, &str); 4] = [
    ("bootstrap", "GET", "/api/claude_cli/bootstrap?entrypoint=sdk-cli"),
    ("mcp-registry", "GET", "/mcp-registry/v0/servers?version=latest&limit=100&visibility=commercial"),
    ("connectors", "GET", "/v1/mcp_servers?limit=1000"),
    (INFERENCE, "POST", "/v1/messages?beta=true"),
];
const INFERENCE: &str = "messages";

/// How an agent's requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Direct,
    BaseUrl,
    Auto,
    Intercept,
}

impl Mode {
    const ALL: [Self; 4] = [Self::Direct, Self::BaseUrl, Self::Auto, Self::Intercept];

    /// The name in JSON and as a column; public and stable.
    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::BaseUrl => "base-url",
            Self::Auto => "auto",
            Self::Intercept => "intercept",
        }
    }

    /// How many fetches may be lost in ten starts; `None` where the mode repairs nothing. An inference never may.
    fn may_lose(self, fault: &Fault) -> Option<u64> {
        match (self, fault) {
            (Self::Direct | Self::BaseUrl, _) | (Self::Auto, Fault::ResetBeforeHeaders) => None,
            (Self::Auto, _) => Some(2),
            (Self::Intercept, _) => Some(1),
        }
    }
}

/// The start-up fetches in each mode.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Modes {
    /// Starts a cell.
    pub starts: u64,
    /// Fetches a cell.
    pub fetches: u64,
    /// The rows, a kind of fault each.
    pub faults: Vec<ByFault>,
    /// All cells, in milliseconds.
    pub took_ms: u64,
}

/// One kind of fault in each mode.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ByFault {
    /// Its stable name.
    pub name: &'static str,
    /// What happens, as a phrase.
    pub title: &'static str,
    /// By mode, in the order of the columns.
    pub modes: Vec<InMode>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InMode {
    /// `direct`, `base-url`, `auto` or `intercept`.
    pub mode: &'static str,
    /// Fetches without the right response.
    pub lost: u64,
    /// How many may be, where Leeward promises something.
    pub may_lose: Option<u64>,
    /// The lost ones by fetch.
    pub by_fetch: BTreeMap<&'static str, u64>,
    /// The same by what the agent saw.
    pub failures: BTreeMap<String, u64>,
    /// The longest start, in milliseconds.
    pub longest_ms: u64,
    /// What reached the upstream.
    pub upstream: Reached,
}

impl Modes {
    /// What Leeward lost and should not have, a sentence each.
    pub(super) fn shortfalls(&self) -> Vec<String> {
        let cells = self.faults.iter().flat_map(|fault| fault.modes.iter().map(move |cell| (fault.title, cell)));
        let told = cells.filter_map(|(title, cell)| {
            let InMode { mode, lost, may_lose, .. } = cell;
            let inferences = cell.by_fetch.get(INFERENCE).copied().unwrap_or(0);
            if let Some(may) = may_lose.filter(|may| lost > may) {
                return Some(format!("{title}, {mode}: {lost} of {} start-up fetches were lost, {may} may be.", self.fetches));
            }
            (*mode != Mode::Direct.name() && inferences > 0)
                .then(|| format!("{title}, {mode}: {inferences} of {} requests to the model were lost.", self.starts))
        });
        told.collect()
    }
}

/// Runs all cells; `step` is called after each start.
pub(super) async fn run(seed: u64, step: Step<'_>) -> Result<Modes, Error> {
    let began = Instant::now();
    let right = Arc::new(right_answers().await?);
    let (mut faults, mut done) = (Vec::new(), 0);
    for (name, title, fault) in KINDS {
        let mut modes = Vec::new();
        for mode in Mode::ALL {
            let before = done;
            modes.push(cell(mode, &fault, seed, &right, &mut |n| step(before + n)).await?);
            done += STARTS;
        }
        faults.push(ByFault { name, title, modes });
    }
    let took_ms = began.elapsed().as_millis() as u64;
    Ok(Modes { starts: STARTS, fetches: STARTS * FETCHES.len() as u64, faults, took_ms })
}

/// What one start asks.
fn requests(start: Option<u64>) -> [Request; 4] {
    FETCHES.map(|(_, method, target)| {
        let body = if method == "POST" { starts::streamed().body } else { String::new() };
        Request { method, target, body, start }
    })
}

async fn right_answers() -> io::Result<Vec<super::client::Answer>> {
    let mut all = Vec::new();
    for request in requests(None) {
        all.push(starts::right_answer(&request).await?);
    }
    Ok(all)
}

/// In 40 of 100 connections, or requests. A request's resets depend on what it is and on nothing else, so that each mode meets
/// the same ones, and it is reset twice at most.
fn plan(fault: Fault, seed: u64) -> Plan {
    if fault != Fault::ResetBeforeHeaders {
        return Plan::seeded(seed, PERCENT, vec![fault]);
    }
    let resets = Mutex::new(BTreeMap::<u64, u64>::new());
    Plan::by(move |moment| {
        let Moment::Request { head, .. } = moment else { return Fault::None };
        let start: Option<u64> = head.header(START).and_then(|number| number.parse().ok());
        let fetch = FETCHES.iter().position(|(_, _, target)| *target == head.target);
        let (Some(start), Some(fetch)) = (start, fetch) else { return Fault::None };
        let request = start * FETCHES.len() as u64 + fetch as u64;
        let mut resets = resets.lock().unwrap_or_else(PoisonError::into_inner);
        let before = resets.entry(request).or_default();
        let turn = request * RESETS + *before;
        let mut dice = fastrand::Rng::with_seed(seed.wrapping_add(turn.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        if *before == RESETS || dice.u8(0..100) >= PERCENT {
            return Fault::None;
        }
        *before += 1;
        fault.clone()
    })
}

/// All starts of a cell, one after the other.
async fn cell(
    mode: Mode,
    fault: &Fault,
    seed: u64,
    right: &Arc<Vec<super::client::Answer>>,
    step: Step<'_>,
) -> Result<InMode, Error> {
    let upstream = Upstream::tls(plan(fault.clone(), seed))?;
    let company = Forward::leading_to(upstream.address()).await?;
    let engine = if mode == Mode::Direct { None } else { Some(Proxied::behind(&company, &upstream).await?) };
    let mut cell = InMode {
        mode: mode.name(),
        lost: 0,
        may_lose: mode.may_lose(fault),
        by_fetch: BTreeMap::new(),
        failures: BTreeMap::new(),
        longest_ms: 0,
        upstream: Reached::of(&upstream),
    };
    for start in 0..STARTS {
        for (fetch, reason) in run_start(mode, engine.as_ref(), &upstream, right, start, &mut cell.longest_ms).await? {
            cell.lost += 1;
            *cell.by_fetch.entry(fetch).or_default() += 1;
            *cell.failures.entry(reason).or_default() += 1;
        }
        step(start + 1);
    }
    cell.upstream = Reached::of(&upstream);
    if let Some(engine) = engine {
        engine.stop().await?;
    }
    Ok(cell)
}

/// One start: its session, its fetches at once, and which were lost for what.
async fn run_start(
    mode: Mode,
    engine: Option<&Proxied>,
    upstream: &Upstream,
    right: &Arc<Vec<super::client::Answer>>,
    start: u64,
    longest_ms: &mut u64,
) -> Result<Vec<(&'static str, String)>, Error> {
    let authority = upstream.authority().unwrap_or_default();
    let direct = Client::named(HOST, upstream.address(), authority)?;
    let (session, rest, inference) = match engine {
        None => (None, direct.clone(), direct),
        Some(engine) if mode == Mode::BaseUrl => (None, direct, Client::plain(engine.address())),
        Some(engine) => {
            let session = engine.session(mode == Mode::Intercept).await?;
            // The agent trusts Leeward's authority alone: that an answer comes shows who has decrypted it.
            let trusted = session.authority.as_ref().map_or(authority, |own| own.as_ref());
            let tunnel = Client::named(HOST, upstream.address(), trusted)?.through(engine.address(), &session.token);
            let inference = if mode == Mode::Auto { Client::plain(engine.address()) } else { tunnel.clone() };
            (Some(session), tunnel, inference)
        }
    };
    let (mut running, began) = (JoinSet::new(), Instant::now());
    for (at, request) in requests(Some(start)).into_iter().enumerate() {
        let is_inference = FETCHES[at].0 == INFERENCE;
        let (client, limit) = if is_inference { (inference.clone(), REQUEST) } else { (rest.clone(), PATIENCE) };
        let right = Arc::clone(right);
        running.spawn(async move { (at, starts::failure(client.ask(&request, limit).await, &right[at])) });
    }
    let mut lost = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (at, failed) = ended.map_err(io::Error::other)?;
        lost.extend(failed.map(|reason| (FETCHES[at].0, reason)));
    }
    *longest_ms = (*longest_ms).max(began.elapsed().as_millis() as u64);
    drop(session);
    Ok(lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_lost_is_what_the_modes_promise() {
        let cell = |mode: Mode, fault: usize, lost: u64, inferences: u64| InMode {
            mode: mode.name(),
            lost,
            may_lose: mode.may_lose(&KINDS[fault].2),
            by_fetch: BTreeMap::from([(INFERENCE, inferences)]),
            failures: BTreeMap::new(),
            longest_ms: 0,
            upstream: Reached { connections: 0, requests: 0, answered: 0, faults: BTreeMap::new() },
        };
        for (mode, fault, lost, inferences, told) in [
            (Mode::Direct, 0, 16, 4, false),
            (Mode::BaseUrl, 0, 12, 0, false),
            (Mode::BaseUrl, 0, 13, 1, true),
            (Mode::Auto, 0, 2, 0, false),
            (Mode::Auto, 1, 3, 0, true),
            (Mode::Auto, 2, 12, 0, false),
            (Mode::Auto, 2, 13, 1, true),
            (Mode::Intercept, 2, 1, 0, false),
            (Mode::Intercept, 2, 2, 0, true),
            (Mode::Intercept, 0, 1, 1, true),
        ] {
            let (name, title, _) = &KINDS[fault];
            let faults = vec![ByFault { name, title, modes: vec![cell(mode, fault, lost, inferences)] }];
            let all = Modes { starts: STARTS, fetches: 40, faults, took_ms: 0 }.shortfalls();
            assert_eq!(!all.is_empty(), told, "{mode:?} {title} {lost} {inferences}: {all:?}");
        }
    }
}
