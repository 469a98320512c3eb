//! The requests that pass now and the last ones that ended, one entry each, for whoever looks.
//!
//! Method, path without its query, times, counts and names: never content, headers or credentials. Decides nothing.

use super::trace::{Entry, Trace};
use crate::status::{activity::Activity, faults::Outcome};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// Ended requests that are kept; more than a screen shows and less than a megabyte.
const KEPT: usize = 500;

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

/// What one observer has seen, so that it learns of changes only.
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
        self.end_as(trace, outcome.as_str());
    }

    /// As `end`, of what has outcomes of its own.
    pub(super) fn end_as(&self, trace: &Trace, outcome: &'static str) {
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

    /// Requests that have no connection to their upstream right now.
    pub fn waiting(&self) -> u64 {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let live: Vec<_> = book.live.values().cloned().collect();
        drop(book);
        live.iter().map(|entry| u64::from(entry.waits())).sum()
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
            // Read before the picture is taken: what changes between the two is reported once more.
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
