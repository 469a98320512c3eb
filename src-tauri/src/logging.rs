//! The log: one filter, a file that rotates by size, every line redacted. Writers run on a thread of their own.
//!
//! Knows no other room. Whoever calls `init` keeps the guard: dropping it writes what is still queued.

mod journal;
mod queue;
mod redact;
mod rotate;
mod tail;
mod trouble;

pub use journal::Stderr;
pub use redact::Redactor;
pub use rotate::Rotating;
pub use tail::{Line, Tail, tail};
pub use trouble::Trouble;

use crate::escape;
use queue::{Queue, Writer};
use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{MakeWriter, layer},
    layer::SubscriberExt,
    reload,
};

/// A file grows to this many bytes before the next one begins.
pub const FILE_BYTES: u64 = 5 * 1024 * 1024;
/// Finished files that are kept beside the current one.
pub const KEPT_FILES: u32 = 4;

/// Why the log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not in the syntax of `tracing_subscriber::EnvFilter`.
    #[error("`{filter}` is not a log filter ({why}); write for example `info` or `leeward=debug`")]
    Filter {
        /// What was given.
        filter: String,
        /// What the parser says.
        why: String,
    },
    /// A redaction pattern does not compile; `redact` has a test against it.
    #[error("the redaction of log lines cannot be set up: {0}")]
    Pattern(#[from] regex::Error),
    /// The system gives no thread to write with.
    #[error("the log has no thread to write with: {0}")]
    Thread(#[from] io::Error),
    /// The process has a log already.
    #[error("the log is already running in this process")]
    Twice,
}

/// Keeps the log's threads alive; dropping it writes what is still queued.
#[derive(Debug)]
#[must_use = "the log ends with its guard"]
pub struct Guard {
    writers: Vec<Writer>,
    filter: Filter,
    trouble: Trouble,
}

impl Guard {
    /// The filter in force, to be changed while the log runs.
    pub fn filter(&self) -> Filter {
        self.filter.clone()
    }

    /// What keeps lines from the file now.
    pub fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }
}

/// What a running log lets through.
#[derive(Clone)]
pub struct Filter(Arc<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}

impl Filter {
    /// Another filter from now on.
    ///
    /// # Errors
    /// `Filter` when it is in the wrong syntax; the one before stays in force.
    pub fn set(&self, filter: &str) -> Result<(), Error> {
        let wrong = |why: String| Error::Filter { filter: filter.to_owned(), why };
        let parsed = EnvFilter::try_new(filter).map_err(|e| wrong(e.to_string()))?;
        (self.0)(parsed).map_err(|e| wrong(e.to_string()))
    }
}

/// Starts the log of this process. From then on a panic is an error in the log, and a line on stderr
/// in any case; both are redacted.
///
/// With neither a file nor stderr nothing is written and the panic hook stays as it was. A file that cannot be opened keeps
/// nothing from starting: `Guard::trouble` tells of it, and it is tried again.
///
/// # Errors
/// `Error`, whose message says what to do.
pub fn init(filter: &str, file: Option<&Path>, stderr: impl Into<Stderr>) -> Result<Guard, Error> {
    let stderr = stderr.into();
    let (subscriber, guard) = build(filter, file, stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| Error::Twice)?;
    if !guard.writers.is_empty() {
        let redactor = Redactor::new()?;
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            tracing::error!(thread = thread.name().unwrap_or("unnamed"), "{panic}");
            if stderr == Stderr::Nothing {
                // Nobody may be reading; the log has it as well.
                writeln!(io::stderr(), "{}", escape::lines(&redactor.redact(&panic.to_string()))).ok();
            }
        }));
    }
    Ok(guard)
}

/// What `init` installs, for a caller that wants it for one thread only.
///
/// # Errors
/// As `init`, but never `Twice`.
pub fn build(filter: &str, file: Option<&Path>, stderr: Stderr) -> Result<(impl Subscriber + Send + Sync, Guard), Error> {
    let parsed = EnvFilter::try_new(filter).map_err(|e| Error::Filter { filter: filter.to_owned(), why: e.to_string() })?;
    let mut guards = Vec::new();
    let mut layers = Vec::new();
    let mut trouble = Trouble::default();
    if let Some(path) = file {
        let rotating = Rotating::open(path, FILE_BYTES, KEPT_FILES);
        trouble = rotating.trouble();
        let (writer, guard) = queued(rotating, "leeward-log")?;
        guards.push(guard);
        layers.push(lines(writer));
    }
    if stderr != Stderr::Nothing {
        let (writer, guard) = queued(io::stderr(), "leeward-stderr")?;
        guards.push(guard);
        layers.push(if stderr == Stderr::Journal { journal::lines(writer) } else { lines(writer) });
    }
    let (parsed, handle) = reload::Layer::new(parsed);
    let filter = Filter(Arc::new(move |filter| handle.reload(filter)));
    Ok((Registry::default().with(layers).with(parsed), Guard { writers: guards, filter, trouble }))
}

/// Lines go through a bounded queue: a full disk or a stuck terminal delays no request, it costs log lines.
fn queued<W: Write + Send + 'static>(target: W, thread: &str) -> Result<(Queue, Writer), Error> {
    Ok(queue::start(Redacted { redactor: Redactor::new()?, target }, thread)?)
}

fn lines<W>(writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    Box::new(layer().with_ansi(false).with_writer(writer))
}

/// Forwards what it is given without its secrets and without what commands a terminal. It is given whole lines.
struct Redacted<W> {
    redactor: Redactor,
    target: W,
}

impl<W: Write> Write for Redacted<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.target.write_all(&escape::bytes(&self.redactor.redact_bytes(line)))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_line_without_its_secret() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("logs").join("leeward.log");
        let (subscriber, guard) = build("info", Some(&path), Stderr::Nothing).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(authorization = "Bearer planted-secret-1", "a request with x-api-key: planted-secret-2");
            tracing::debug!("below the filter");
        });
        drop(guard);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("INFO") && text.contains("a request with x-api-key: [redacted]"), "{text}");
        assert!(!text.contains("planted-secret") && !text.contains("below the filter"), "{text}");
    }

    #[test]
    fn the_filter_changes_while_the_log_runs() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("leeward.log");
        let (subscriber, guard) = build("info", Some(&path), Stderr::Nothing).unwrap();
        let filter = guard.filter();
        tracing::subscriber::with_default(subscriber, || {
            let say = |filter_now: &str| tracing::debug!("said under {filter_now}");
            say("info");
            filter.set("debug").unwrap();
            say("debug");
            assert!(filter.set("leeward=loud").unwrap_err().to_string().contains("is not a log filter"));
            say("debug still");
            filter.set("warn").unwrap();
            say("warn");
        });
        drop(guard);
        let text = std::fs::read_to_string(&path).unwrap();
        let said: Vec<_> = text.lines().filter_map(|l| l.split_once("said under ")).map(|(_, under)| under).collect();
        assert_eq!(said, ["debug", "debug still"]);
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = build("leeward=loud", None, Stderr::Lines).err().unwrap().to_string();
        assert!(error.starts_with("`leeward=loud` is not a log filter"), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named_and_keeps_nothing_from_starting() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("logs"), "a file where the folder should be").unwrap();
        let (_, guard) = build("info", Some(&home.path().join("logs").join("leeward.log")), Stderr::Nothing).unwrap();
        let told = guard.trouble().sentence().unwrap();
        assert!(told.contains("leeward.log") && told.contains("mend the folder"), "{told}");
    }
}
