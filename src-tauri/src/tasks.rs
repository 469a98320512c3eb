//! The owner of a generation's tasks: nothing runs that nobody can stop. No task is ever detached.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{runtime::Handle, task::JoinSet};

/// A shared `JoinSet`: tasks can be added from anywhere and end with their owner.
#[derive(Clone, Debug)]
pub struct Tasks {
    set: Arc<Mutex<JoinSet<()>>>,
    runtime: Handle,
}

impl Tasks {
    /// An empty owner on the current runtime.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn new() -> Self {
        Self { set: Arc::default(), runtime: Handle::current() }
    }

    /// Starts a task, from any thread. Finished ones are forgotten on the way; a panic in one is logged.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = set.try_join_next() {
            if let Err(e) = ended
                && e.is_panic()
            {
                tracing::error!("a task panicked: {e}");
            }
        }
        set.spawn_on(task, &self.runtime);
    }

    /// Stops all of them.
    pub fn abort_all(&self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}
