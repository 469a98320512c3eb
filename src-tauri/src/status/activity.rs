//! The requests that pass now and the last ones that ended, one entry each, for whoever looks.
//!
//! Method, path without its query, times, counts and names: never content, headers or credentials. Decides nothing.

mod trace;

pub use trace::Trace;

use super::traffic::Outcome;
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};
use trace::Entry;

/// Ended requests that are kept; more than a screen shows and less than a megabyte.
const KEPT: usize = 500;

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "RequestPhase"))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Its body is being read.
    Reading,
    /// It waits for a connection.
    Connecting,
    /// It was given to a connection; there is no answer yet.
    Sent,
    /// The answer is there and held back.
    Held,
    /// The answer is on its way to the client.
    Streaming,
    /// Over.
    Done,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Activity {
    /// Counts from 1 in each process.
    pub id: u64,
    /// The program that asks, as it names itself.
    pub agent: Option<String>,
    /// The model that it asks for.
    pub model: Option<String>,
    /// The request's method.
    pub method: String,
    /// The path at the upstream, without its query.
    pub path: String,
    /// The upstream's name; empty when the request never got that far.
    pub upstream: String,
    /// When its head had been read, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// How far it is.
    #[serde(rename = "phase")]
    pub stage: Stage,
    /// What was tried, in order.
    pub attempts: Vec<Try>,
    /// Until the answer's head went to the client, in milliseconds.
    pub first_byte_ms: Option<f64>,
    /// Until its end, in milliseconds.
    pub took_ms: Option<f64>,
    /// Bytes of the request's body that came from the client.
    pub bytes_up: u64,
    /// Bytes of answers' bodies that came from the upstream, those of answers that broke off included.
    pub bytes_down: u64,
    /// The status that the client got.
    pub status: Option<u16>,
    /// How it ended, by the names of `traffic::Outcome`.
    pub outcome: Option<&'static str>,
}

/// One attempt; times in milliseconds since the request's start.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Attempt"))]
pub struct Try {
    /// From 1.
    pub number: u32,
    /// A connection was asked for.
    pub began_ms: f64,
    /// The request was given to a connection.
    pub sent_ms: Option<f64>,
    /// The answer's head was there.
    pub head_ms: Option<f64>,
    /// It was over.
    pub ended_ms: Option<f64>,
    /// `reused` or `fresh`.
    #[cfg_attr(test, ts(type = "\"reused\" | \"fresh\" | null"))]
    pub connection: Option<&'static str>,
    /// What it failed with, by the names of `traffic::Cause`.
    pub cause: Option<&'static str>,
    /// True when the request had reached the upstream before.
    pub replay: bool,
}

#[derive(Debug, Default)]
struct Book {
    last: u64,
    live: BTreeMap<u64, Arc<Entry>>,
    /// The one that ended last stands last.
    ended: VecDeque<Arc<Entry>>,
}

/// All that is kept.
#[derive(Debug, Default)]
pub struct Activities(Mutex<Book>);

/// What one observer has seen, so that it is told of changes only.
#[derive(Debug, Default)]
pub struct Seen(HashMap<u64, u64>);

impl Activities {
    /// Notes a request whose head has been read. It is live until `end`.
    pub(super) fn begin(&self, method: &str, path: &str, started: tokio::time::Instant) -> Trace {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.last += 1;
        let entry = Arc::new(Entry::new(book.last, method, path, started));
        let id = book.last;
        book.live.insert(id, entry.clone());
        Trace::of(entry)
    }

    /// The request is over.
    pub(super) fn end(&self, trace: &Trace, outcome: Outcome) {
        let Some(entry) = trace.entry() else { return };
        entry.end(outcome);
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = book.live.remove(&entry.id()) {
            if book.ended.len() >= KEPT {
                book.ended.pop_front();
            }
            book.ended.push_back(entry);
        }
    }

    /// Those in flight and the last that ended, the one that began last first.
    pub fn list(&self) -> Vec<Activity> {
        self.entries().iter().map(|e| e.picture()).collect()
    }

    /// As `list`, but only what `seen` has not shown as it is now.
    pub fn changes(&self, seen: &mut Seen) -> Vec<Activity> {
        let entries = self.entries();
        let mut marks = HashMap::with_capacity(entries.len());
        let mut changed = Vec::new();
        for entry in entries {
            // Read before the picture is taken: what changes between the two is told once more.
            let mark = entry.mark();
            if seen.0.get(&entry.id()) != Some(&mark) {
                changed.push(entry.picture());
            }
            marks.insert(entry.id(), mark);
        }
        seen.0 = marks;
        changed
    }

    fn entries(&self) -> Vec<Arc<Entry>> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries: Vec<_> = book.live.values().chain(&book.ended).cloned().collect();
        drop(book);
        entries.sort_unstable_by_key(|e| std::cmp::Reverse(e.id()));
        entries
    }
}

#[cfg(test)]
mod tests;
