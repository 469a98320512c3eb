//! The history of faults on disk: each one with whether it was retried, and counts over time. Never content, never credentials.
//!
//! A thread of its own, because SQLite blocks; the supervisor owns it. It listens to the traffic's faults and never keeps
//! a request waiting: what it cannot take in time is lost to the history, and counted as lost. Whatever happens to its
//! file, requests are served as ever.

mod file;
mod latencies;
mod period;
mod read;
mod settings;
mod store;
mod writer;

#[cfg(unix)]
#[path = "ledger/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "ledger/windows.rs"]
mod platform;

#[cfg(test)]
mod tests;

use crate::{
    config::{Config, Paths},
    health::{Code, Tracker},
    status::history::{History, Question, Span},
    telemetry::Traffic,
};
use settings::Settings;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use writer::{Intervals, Writer};

/// At the end the last faults are written within this, or lost.
const END_LIMIT: Duration = Duration::from_secs(3);

/// A ledger that is being kept. Dropping it ends it without waiting for the last faults; `end` waits.
#[derive(Debug)]
pub struct Ledger {
    settings: watch::Sender<Settings>,
    thread: Option<(JoinHandle<()>, oneshot::Receiver<()>)>,
}

impl Ledger {
    /// Begins to listen at once, and opens the file on a thread of its own. What goes wrong with it is a condition.
    pub fn start(config: &Config, health: Tracker, traffic: &Arc<Traffic>, questions: mpsc::Receiver<Question>) -> Self {
        Self::start_at(Intervals::default(), config, health, traffic, questions)
    }

    fn start_at(
        intervals: Intervals,
        config: &Config,
        health: Tracker,
        traffic: &Arc<Traffic>,
        questions: mpsc::Receiver<Question>,
    ) -> Self {
        let (settings, watched) = watch::channel(Settings::of(config));
        let writer = Writer::new(intervals, watched, health.clone(), traffic.clone(), questions);
        let (done, ended) = oneshot::channel();
        let told = health.clone();
        let thread = std::thread::Builder::new().name("leeward-ledger".into()).spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
                let why = "its thread has failed (see the log)";
                told.set(Code::LedgerUnusable, None, format!("The history of faults is not kept any more: {why}. Requests are served as ever; start Leeward again to keep it."));
            }
            done.send(()).ok(); // nobody may wait for it
        });
        let thread = match thread {
            Ok(thread) => Some((thread, ended)),
            Err(e) => {
                health.set(
                    Code::LedgerUnusable,
                    None,
                    format!("The history of faults is not kept: the system gives no thread for it ({e})."),
                );
                None
            }
        };
        Self { settings, thread }
    }

    /// Takes over a new config.
    pub fn configure(&self, config: &Config) {
        let new = Settings::of(config);
        self.settings.send_if_modified(|old| {
            (*old != new) && {
                *old = new;
                true
            }
        });
    }

    /// Writes what is left and closes the file.
    pub async fn end(self) {
        let Self { settings, thread } = self;
        drop(settings); // ends the thread
        let Some((thread, ended)) = thread else { return };
        if timeout(END_LIMIT, ended).await.is_err() {
            tracing::warn!("the ledger does not end within {END_LIMIT:?}; its last entries may be missing");
        } else {
            thread.join().ok(); // a panic of its has been logged
        }
    }
}

/// The history of a ledger that nobody keeps at the moment, straight from its file; `None` when there is none.
///
/// # Errors
/// A sentence that names the file and says what is wrong with it.
pub fn read(paths: &Paths, span: &Span) -> Result<Option<History>, String> {
    let file = paths.ledger_file();
    let read = || match file::open_to_read(&file)? {
        Some(mut db) => read::history(&mut db, span).map(Some),
        None => Ok(None),
    };
    read().map_err(|trouble| match trouble {
        file::StoreError::Damaged(why) => format!(
            "the history in {} is damaged ({why}); the next `leeward serve` sets it aside and begins a new one",
            file.display()
        ),
        file::StoreError::Unusable(why) => format!("the history in {} cannot be read: {why}", file.display()),
    })
}
