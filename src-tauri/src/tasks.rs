//! The owner of a generation's tasks: nothing runs that nobody can stop. No task is ever detached.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::task::JoinSet;

/// A shared `JoinSet`: tasks can be added from anywhere and end with their owner.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    /// An empty owner.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task on the current runtime. Finished ones are forgotten on the way; a panic in one is logged.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = set.try_join_next() {
            if let Err(e) = ended
                && e.is_panic()
            {
                tracing::error!("a task panicked: {e}");
            }
        }
        set.spawn(task);
    }

    /// How many tasks have not been seen to end yet.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// True when no task runs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stops all of them.
    pub fn abort_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}
