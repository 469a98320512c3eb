//! A connection that has yet to be answered once: its client is about to ask, and a FIN would cross with its request.

use crate::telemetry::Counters;
use std::sync::{
    Arc,
    atomic::{
        AtomicBool,
        Ordering::{Relaxed, SeqCst},
    },
};

/// Counts its connection among those that whoever ends the engine waits for.
#[derive(Debug)]
pub(super) struct AwaitingFirstRequest {
    counters: Arc<Counters>,
    over: AtomicBool,
}

impl AwaitingFirstRequest {
    pub(super) fn new(counters: &Arc<Counters>) -> Arc<Self> {
        counters.begin_awaiting();
        Arc::new(Self { counters: counters.clone(), over: AtomicBool::new(false) })
    }

    /// It has been answered, or has had its time.
    pub(super) fn ends(&self) {
        if !self.over.load(Relaxed) && !self.over.swap(true, SeqCst) {
            self.counters.end_awaiting();
        }
    }
}

impl Drop for AwaitingFirstRequest {
    fn drop(&mut self) {
        self.ends();
    }
}
