//! What the demo found, as data and as a table of plain text. Colours are the terminal's matter, not this file's.

use super::{
    modes::{InMode, Modes},
    starts::{PERCENT, Starts},
    storm::Storm,
    trials::Trial,
};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fmt::{self, Display},
};

/// The same trial without Leeward and with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison<T> {
    /// The agent talking to the upstream itself.
    pub without: T,
    /// The same through Leeward.
    pub leeward: T,
}

/// Clients that reset while they are accepted, at each listener.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listeners {
    /// A loop that closes its listener on the first error.
    pub without: Storm,
    /// The first report's own system, where Python is there.
    pub python: Option<Proactor>,
    /// Leeward's.
    pub leeward: Storm,
}

/// CPython's Proactor event loop, as its standard library has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proactor {
    /// Python's version, as `3.12.1`.
    pub version: String,
    /// How its listener came through.
    #[serde(flatten)]
    pub storm: Storm,
}

/// Everything the demo found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Leeward's version.
    pub version: &'static str,
    /// The seed that the faults were drawn from.
    pub seed: u64,
    /// True when nothing repairable reached a client of Leeward.
    pub passed: bool,
    /// The whole demo, in milliseconds.
    pub took_ms: u64,
    /// Clients that reset while they are accepted.
    pub listener: Listeners,
    /// Agents that start on a bad network.
    pub starts: Comparison<Starts>,
    /// One kind of fault at a time.
    pub trials: Vec<Trial>,
    /// The start-up fetches of the second report in each mode.
    pub modes: Modes,
}

impl Report {
    /// What went wrong in Leeward's column, a sentence each; empty when it passed.
    pub fn shortfalls(&self) -> Vec<String> {
        let (storm, starts) = (&self.listener.leeward, &self.starts.leeward);
        let mut all = Vec::new();
        if storm.health_failed > 0 {
            all.push(format!(
                "{} of {} /health were not answered by Leeward.",
                storm.health_failed,
                storm.health_ok + storm.health_failed
            ));
        }
        if storm.refused > 0 {
            all.push(format!("Leeward's listener refused {} connections.", storm.refused));
        }
        if starts.failed > 0 {
            all.push(format!("{} of {} requests through Leeward failed.", starts.failed, starts.requests));
        }
        if starts.upstream.answered > starts.requests {
            all.push(format!("The upstream did {} requests for {} that were sent.", starts.upstream.answered, starts.requests));
        }
        for Trial { title, repeats_work, leeward, .. } in &self.trials {
            if leeward.failed > 0 {
                all.push(format!("{title}: {} of {} requests through Leeward failed.", leeward.failed, leeward.requests));
            }
            let again = if *repeats_work { leeward.upstream.faults.values().sum() } else { 0 };
            if leeward.upstream.answered > leeward.requests + again {
                let done = leeward.upstream.answered;
                all.push(format!("{title}: the upstream did {done} requests for {} that were sent.", leeward.requests));
            }
        }
        all.extend(self.modes.shortfalls());
        all
    }
}

/// What is counted, and a column for each way.
struct Table<const COLUMNS: usize> {
    rows: Vec<(String, [String; COLUMNS])>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    fn new(columns: [&str; COLUMNS]) -> Self {
        Self { rows: vec![(String::new(), columns.map(str::to_owned))] }
    }

    fn add(&mut self, what: impl Into<String>, figures: [String; COLUMNS]) {
        self.rows.push((what.into(), figures));
    }
}

impl Table<2> {
    fn row(&mut self, what: impl Into<String>, without: impl Display, leeward: impl Display) {
        self.add(what, [without.to_string(), leeward.to_string()]);
    }
}

impl<const COLUMNS: usize> Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = |cells: &mut dyn Iterator<Item = &String>| cells.map(|c| c.chars().count()).max().unwrap_or(0);
        let what = widest(&mut self.rows.iter().map(|r| &r.0));
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| widest(&mut self.rows.iter().map(|r| &r.1[column])));
        for (number, (name, figures)) in self.rows.iter().enumerate() {
            write!(f, "  {name:<what$}")?;
            for (figure, width) in figures.iter().zip(widths) {
                write!(f, "   {figure:>width$}")?;
            }
            writeln!(f)?;
            if number == 0 {
                writeln!(f, "  {}", "-".repeat(what + widths.iter().map(|w| w + 3).sum::<usize>()))?;
            }
        }
        Ok(())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listeners { without, python, leeward } = &self.listener;
        let clients = leeward.health_ok + leeward.health_failed;
        writeln!(f, "1. {clients} clients reset their connection while it is accepted; /health after each\n")?;
        match python {
            Some(python) => storms(["naive listener", "CPython asyncio", "Leeward"], [without, &python.storm, leeward]).fmt(f)?,
            None => storms(["naive listener", "Leeward"], [without, leeward]).fmt(f)?,
        }
        let Comparison { without, leeward } = &self.starts;
        writeln!(f, "\n2. {} agent starts of 4 requests at once; {PERCENT} % of the connections are reset\n", leeward.starts)?;
        write!(f, "{}", races(without, leeward))?;
        writeln!(f, "\n3. One fault at a time: requests that failed, and attempts that Leeward retried\n")?;
        write!(f, "{}", trials(&self.trials))?;
        writeln!(
            f,
            "\n4. The second report's start-up fetches, by mode: lost of {} in {} starts\n",
            self.modes.fetches, self.modes.starts
        )?;
        write!(f, "{}", modes(&self.modes))?;
        f.write_str(LEGEND)?;
        if let Some(python) = python {
            writeln!(f, "{OF_PYTHON}  of Python {}'s own library.", python.version)?;
        }
        writeln!(f)?;
        for shortfall in self.shortfalls() {
            writeln!(f, "FAILED: {shortfall}")?;
        }
        if self.passed {
            writeln!(f, "Passed: nothing that can be repaired reached a client of Leeward.")?;
        }
        writeln!(f, "Leeward {}, seed {}, {}", self.version, self.seed, seconds(self.took_ms))
    }
}

const LEGEND: &str = "
  The clients retry nothing themselves, so that each fault shows. Everything is
  real (sockets, resets, TLS) except one step: the naive listener closes its
  socket on the first accept error, which Windows reports and Linux hides; here
  it asks the accepted socket for it.
  In 2, 40 % of new connections are reset, half before a byte is read and half
  in the TLS handshake. Of the requests on a reused connection, 20 % are reset
  before the response; after another 20 %, the connection is closed. Only a
  client that keeps connections meets these two faults.
  In 3, if a response breaks off before your agent has seen any of it, Leeward
  asks again, so the API does that work twice. In \"hold\" mode (off by default)
  Leeward buffers the whole response; otherwise it aborts a stream that breaks
  off after its first content, so that your agent notices.
  In 4, 40 % of the connections or requests are reset, a request twice at most.
  The fetches are bootstrap, MCP registry, connectors and a request to a model.
  A base URL covers the last one alone; the others bypass Leeward. \"auto\" takes
  them through tunnels: it repairs their connections, but not what was sent, and
  six resets in a row are too many for it. \"intercept\" repairs whole requests.
";

/// Windows has that loop and its error; elsewhere the reset is reported to it as to the naive listener.
const OF_PYTHON: &str = "  CPython asyncio is the system of the first bug report; the reset is reported
  to it in the same way, and its process goes on. It is the Proactor event loop
";

fn storms<const COLUMNS: usize>(names: [&str; COLUMNS], storms: [&Storm; COLUMNS]) -> Table<COLUMNS> {
    let listener = |s: &Storm| match (s.alive, s.lost_after) {
        (true, None) => "alive",
        (true, Some(_)) => "alive again",
        (false, Some(_)) => "lost",
        (false, None) => "not reached",
    };
    let lost = |s: &Storm| s.lost_after.map_or("-".to_owned(), |client| client.to_string());
    let slowest = |s: &Storm| if s.health_ok == 0 { "-".to_owned() } else { micros(s.health_max_us) };
    let mut table = Table::new(names);
    let mut row = |what, figure: &dyn Fn(&Storm) -> String| table.add(what, storms.map(figure));
    row("resets that reached the listener", &|s| s.resets.to_string());
    row("connections refused", &|s| s.refused.to_string());
    row("/health succeeded", &|s| s.health_ok.to_string());
    row("/health failed", &|s| s.health_failed.to_string());
    row("first failure after client", &lost);
    row("listener at the end", &|s| listener(s).to_owned());
    row("slowest /health", &slowest);
    row("time", &|s| seconds(s.took_ms));
    table
}

fn trials(all: &[Trial]) -> Table<3> {
    let mut table = Table::new(["direct", "Leeward", "retried"]);
    for Trial { title, without, leeward, .. } in all {
        let retried = leeward.retried.map_or("-".to_owned(), |n| n.to_string());
        table.add(*title, [share(without.failed, without.requests), share(leeward.failed, leeward.requests), retried]);
    }
    table
}

fn modes(all: &Modes) -> Table<4> {
    let figures = |cells: &[InMode], figure: &dyn Fn(&InMode) -> String| -> [String; 4] {
        std::array::from_fn(|column| cells.get(column).map_or_else(String::new, figure))
    };
    let names = all.faults.first().map_or_else(Default::default, |fault| figures(&fault.modes, &|cell| cell.mode.to_owned()));
    let mut table = Table::new(names.each_ref().map(String::as_str));
    for fault in &all.faults {
        table.add(fault.title, figures(&fault.modes, &|cell| cell.lost.to_string()));
    }
    let longest = |column: usize| all.faults.iter().filter_map(|fault| fault.modes.get(column)).map(|cell| cell.longest_ms).max();
    table.add("longest start", std::array::from_fn(|column| format!("{} ms", longest(column).unwrap_or(0))));
    table
}

fn races(without: &Starts, leeward: &Starts) -> Table<2> {
    let mut table = Table::new(["direct", "Leeward"]);
    table.row("starts that failed", share(without.starts_failed, without.starts), share(leeward.starts_failed, leeward.starts));
    table.row("requests that failed", share(without.failed, without.requests), share(leeward.failed, leeward.requests));
    let reasons = without.failures.keys().chain(leeward.failures.keys()).collect::<BTreeSet<_>>();
    for reason in reasons {
        let count = |s: &Starts| s.failures.get(reason).copied().unwrap_or(0);
        table.row(format!("  {reason}"), count(without), count(leeward));
    }
    table.row("faults that occurred", struck(without), struck(leeward));
    let kinds = without.upstream.faults.keys().chain(leeward.upstream.faults.keys()).collect::<BTreeSet<_>>();
    for kind in kinds {
        let count = |s: &Starts| s.upstream.faults.get(kind).copied().unwrap_or(0);
        table.row(format!("  {kind}"), count(without), count(leeward));
    }
    table.row("connections tried at the upstream", without.upstream.connections, leeward.upstream.connections);
    table.row("requests that the upstream read", without.upstream.requests, leeward.upstream.requests);
    table.row("requests that the upstream answered", without.upstream.answered, leeward.upstream.answered);
    let retried = |s: &Starts| s.retried.map_or("-".to_owned(), |n| n.to_string());
    table.row("attempts that Leeward retried", retried(without), retried(leeward));
    let times = |s: &Starts| format!("{} / {} ms", s.start_p50_ms, s.start_p99_ms);
    table.row("time of one start, p50 / p99", times(without), times(leeward));
    table.row("time", seconds(without.took_ms), seconds(leeward.took_ms));
    table
}

fn struck(starts: &Starts) -> u64 {
    starts.upstream.faults.values().sum()
}

fn share(part: u64, all: u64) -> String {
    format!("{part} of {all}")
}

fn seconds(millis: u64) -> String {
    format!("{:.1} s", millis as f64 / 1000.0)
}

fn micros(micros: u64) -> String {
    format!("{:.1} ms", micros as f64 / 1000.0)
}
