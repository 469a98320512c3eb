//! What the program that an engine runs in gives it: where the config comes from, the log's filter, the panel's files,
//! the lock that it serves under, and the socket of the one that served before.

use crate::{
    config::{self, Config, Settings},
    examination::Examiner,
    instance::Lock,
    shortage::is_shortage,
    status::{
        coverage::{Coverage, Heard, Scan},
        recent::{Headline, Words},
    },
    window::Window,
};
use std::{net::TcpListener, path::PathBuf, sync::Arc};

/// Reads the config again, for a restart or a changed file.
pub type Reload = Box<dyn Fn() -> Result<Config, String> + Send>;

/// The same, with a shortage told apart.
pub(super) type Read = Box<dyn Fn() -> Result<Config, ReloadError> + Send>;

/// Why there is no new config.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReloadError {
    /// What is there cannot be in force.
    #[error("{0}")]
    Refused(String),
    /// The system had no descriptor or memory to read it with: what is there is not known.
    #[error("{0}")]
    Unread(String),
}

/// Puts another log filter in force.
pub type Refilter = Box<dyn Fn(&str) -> Result<(), String> + Send>;

/// What keeps the log's lines from being kept, in a sentence.
pub(super) type LogTrouble = Box<dyn Fn() -> Option<String> + Send>;

/// The program around an engine.
pub struct EngineOptions {
    pub(super) reload: Read,
    pub(super) settings: Option<Arc<Settings>>,
    pub(super) refilter: Option<Refilter>,
    pub(super) log_trouble: Option<LogTrouble>,
    pub(super) panel: Option<PathBuf>,
    pub(super) window: Option<Window>,
    pub(super) examiner: Option<Examiner>,
    pub(super) words: Words,
    pub(super) scan: Option<Scan>,
    pub(super) lock: Option<Lock>,
    pub(super) inherited: Option<TcpListener>,
    pub(super) stays: bool,
    pub(super) former: Vec<TcpListener>,
    pub(super) keeps_token: bool,
    pub(super) may_leave: bool,
}

impl std::fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineOptions").field("settings", &self.settings).field("panel", &self.panel).finish_non_exhaustive()
    }
}

impl EngineOptions {
    /// The config comes from there, and may be changed there.
    pub fn of(settings: Arc<Settings>) -> Self {
        let again = settings.clone();
        let reload: Read = Box::new(move || again.load().map_err(|e| refused_or_unread(&e)));
        Self { settings: Some(settings), ..Self::reading(reload) }
    }

    fn reading(reload: Read) -> Self {
        Self {
            reload,
            settings: None,
            refilter: None,
            log_trouble: None,
            panel: None,
            window: None,
            examiner: None,
            words: |_, _| Headline::default(),
            scan: None,
            lock: None,
            inherited: None,
            stays: false,
            former: Vec::new(),
            keeps_token: false,
            may_leave: false,
        }
    }

    /// The log follows the config.
    #[must_use]
    pub fn refiltering(self, set: impl Fn(&str) -> Result<(), String> + Send + 'static) -> Self {
        Self { refilter: Some(Box::new(set)), ..self }
    }

    /// What is wrong with the log is a condition.
    #[must_use]
    pub fn watching_log(self, trouble: impl Fn() -> Option<String> + Send + 'static) -> Self {
        Self { log_trouble: Some(Box::new(trouble)), ..self }
    }

    /// The folder with the panel's built files, where there is one.
    #[must_use]
    pub fn showing(self, panel: Option<PathBuf>) -> Self {
        Self { panel, ..self }
    }

    /// How a window with the panel is brought up, where there can be one.
    #[must_use]
    pub fn with_window(self, show: impl Fn() + Send + Sync + 'static) -> Self {
        Self { window: Some(Window::new(show)), ..self }
    }

    /// Who examines this machine for the panel.
    #[must_use]
    pub fn examined_by(self, examiner: Examiner) -> Self {
        Self { examiner: Some(examiner), ..self }
    }

    /// How the first line of a status is worded.
    #[must_use]
    pub fn worded(self, words: Words) -> Self {
        Self { words, ..self }
    }

    /// How this machine's agents are looked for; `look` may block.
    #[must_use]
    pub fn looking_for_agents(self, look: impl Fn(Heard) -> Coverage + Send + Sync + 'static) -> Self {
        Self { scan: Some(Scan::new(look)), ..self }
    }

    /// A configured port that is taken may be left for a free one, whichever it is: the program shows where it serves.
    #[must_use]
    pub fn on_any_port(self) -> Self {
        Self { may_leave: true, ..self }
    }

    /// The lock this engine serves under. It is let go when the socket is, before requests in flight have finished.
    #[must_use]
    pub fn holding(self, lock: Lock) -> Self {
        Self { lock: Some(lock), ..self }
    }

    /// The socket of the engine that is taken over from, in the place of one of its own. Both accept for a moment, and both are
    /// to be known by the same control token; so it stays in force.
    #[must_use]
    pub fn inheriting(self, listener: Option<TcpListener>) -> Self {
        Self { keeps_token: listener.is_some(), inherited: listener, ..self }
    }

    /// A socket that others have held while nobody accepted on it, in the place of one of its own. Unless it `stays`, the
    /// configured address is bound beside it.
    #[must_use]
    pub fn listening_on(self, listener: Option<TcpListener>, stays: bool) -> Self {
        Self { inherited: listener, stays, ..self }
    }

    /// Sockets of other addresses, which are served for as long as somebody uses them.
    #[must_use]
    pub fn serving_also(self, former: Vec<TcpListener>) -> Self {
        Self { former, ..self }
    }
}

/// A certificate file that cannot be read is reported in words alone: then it is asked whether anything can be read right now.
fn refused_or_unread(error: &config::Error) -> ReloadError {
    let short = match error {
        config::Error::Unreadable { why, .. } => is_shortage(why),
        _ => std::fs::File::open(".").is_err_and(|e| is_shortage(&e)),
    };
    if short { ReloadError::Unread(error.to_string()) } else { ReloadError::Refused(error.to_string()) }
}

/// A config that nobody changes through the engine: tests, `demo`.
impl<F: Fn() -> Result<Config, String> + Send + ?Sized + 'static> From<Box<F>> for EngineOptions {
    fn from(reload: Box<F>) -> Self {
        Self::reading(Box::new(move || reload().map_err(ReloadError::Refused)))
    }
}
