//! Commands on their way down: what the CLI, the tray or the panel asks the supervisor to do.
//!
//! The only channel in that direction. Also the mode that the supervisor puts a generation in, and the `wrap` sessions that
//! hold a control stream open.

mod interception;
mod tunnel_keys;

pub use interception::Interception;
pub use tunnel_keys::{NoKey, TunnelKey, is_tunnel_token};

use crate::config::Covers;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tunnel_keys::{OfGeneration, TunnelKeys};

/// What somebody asks for.
#[derive(Debug)]
pub enum Command {
    /// A new engine generation on the same socket, with the config read again.
    Restart {
        /// Gets how it went.
        reply: oneshot::Sender<Result<Restarted, String>>,
    },
    /// Hand the listening socket on to the process that waits at this place, then end as the config's `drain` says.
    HandOver {
        /// Where it waits.
        to: PathBuf,
        /// Notified once the other accepts; on an error this engine goes on.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Bring the listening socket to a holder's door: it keeps the port should this process end.
    Lend {
        /// The door.
        to: PathBuf,
        /// The port that its agent knows.
        port: u16,
    },
    /// Have every holder let go of the listening socket: what follows is an end on purpose.
    LetGo {
        /// Notified once all have, or do not respond.
        reply: oneshot::Sender<()>,
    },
    /// Stop accepting, let requests in flight finish for at most this long, then end.
    Stop {
        /// Limit for what is in flight.
        drain: Duration,
    },
}

/// The response to a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Restarted {
    /// Number of the generation that accepts now.
    pub generation: u64,
    /// Milliseconds from the command until it accepted.
    pub took_ms: u64,
    /// Set when the config file was refused and the previous config stays in force.
    pub config_error: Option<String>,
}

/// Where commands are dropped.
pub type Commands = mpsc::Sender<Command>;

/// A `wrap` session as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Session {
    /// Stays the same while the agent runs: `claude-4242`. Requests name their session by it.
    #[serde(default)]
    pub id: String,
    /// The agent's profile name.
    pub agent: String,
    /// The wrap's process.
    pub pid: u32,
    /// Since when, in milliseconds since 1970.
    pub since_unix_ms: u64,
    /// How the agent's requests reach Leeward.
    #[serde(default)]
    pub covers: Covers,
    /// The folder in which the agent was started, where its wrap tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub folder: Option<String>,
    /// Where the wrap holds the listening socket. Nobody else's business.
    #[serde(skip)]
    #[cfg_attr(test, ts(skip))]
    pub door: Option<PathBuf>,
    /// The port that its agent knows.
    #[serde(skip)]
    #[cfg_attr(test, ts(skip))]
    pub port: u16,
}

#[derive(Debug)]
struct Open {
    next: u64,
    sessions: BTreeMap<u64, Session>,
    idle_since: Instant,
}

/// The open sessions; clones share the list.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Mutex<Open>>, Arc<TunnelKeys>);

impl Default for Sessions {
    fn default() -> Self {
        let open = Open { next: 0, sessions: BTreeMap::new(), idle_since: Instant::now() };
        Self(Arc::new(Mutex::new(open)), Arc::default())
    }
}

impl Sessions {
    /// Adds a session for as long as the guard lives.
    pub fn open(&self, session: Session) -> SessionGuard {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = open.next;
        open.next += 1;
        open.sessions.insert(id, session);
        SessionGuard { id, sessions: self.clone(), of: None }
    }

    /// The open sessions, oldest first.
    pub fn list(&self) -> Vec<Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sessions.values().cloned().collect()
    }

    /// The session's key that this token is.
    ///
    /// # Errors
    /// Why it opens nothing. Where its session may be about to register again, that is said after some seconds.
    pub async fn tunnel_key(&self, token: &str) -> Result<TunnelKey, NoKey> {
        self.1.awaited(token).await
    }

    /// Whether the agent of an open session was started with this certificate authority.
    pub fn use_authority(&self, id: &str) -> bool {
        self.1.use_authority(id)
    }

    /// The doors of those that hold a listening socket.
    pub fn doors(&self) -> Vec<PathBuf> {
        self.list().into_iter().filter_map(|session| session.door).collect()
    }

    /// The doors of those that hold the socket of this port.
    pub fn doors_of(&self, port: u16) -> Vec<PathBuf> {
        self.list().into_iter().filter(|session| session.port == port).filter_map(|session| session.door).collect()
    }

    /// The session whose agent calls itself so in a request that shows no token: the only one of that agent.
    pub fn only_of(&self, program: &str) -> Option<(u64, String)> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_its = |session: &Session| {
            let begins = |agent: &str| program.get(..agent.len()).is_some_and(|name| name.eq_ignore_ascii_case(agent));
            !session.agent.is_empty() && begins(&session.agent)
        };
        let mut all = open.sessions.iter().filter(|(_, session)| is_its(session));
        let (number, first) = all.next()?;
        all.all(|(_, other)| other.id == first.id).then(|| (*number, first.id.clone()))
    }

    /// Whether an agent of an open session knows this port.
    pub fn use_port(&self, port: u16) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sessions.values().any(|session| session.port == port)
    }

    /// How long no session has been open; zero while one is.
    pub fn idle_for(&self) -> Duration {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.sessions.is_empty() { open.idle_since.elapsed() } else { Duration::ZERO }
    }
}

/// Keeps one session in the list.
#[derive(Debug)]
pub struct SessionGuard {
    id: u64,
    sessions: Sessions,
    of: Option<OfGeneration>,
}

impl SessionGuard {
    /// The session's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The session's programs may open tunnels with this key. `mode`: that of the generation that holds its stream.
    pub fn opens_tunnels(&mut self, key: TunnelKey, mode: watch::Receiver<Mode>) {
        self.of = Some(OfGeneration(mode));
        self.sessions.1.add(key.of_session(self.id));
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        if let Some(of) = &self.of {
            self.sessions.1.remove(self.id, of.mode());
        }
        let mut open = self.sessions.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.sessions.remove(&self.id);
        open.idle_since = Instant::now();
    }
}

/// How a generation treats its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Connections stay open.
    Serving,
    /// Every response is the last one of its connection; idle connections wait for their next request.
    Draining,
    /// Idle connections are closed too.
    Closing,
}

impl Mode {
    /// Waits until the mode is `at_least` this far on. A supervisor that is gone counts as the end.
    pub async fn reaches(mode: &mut watch::Receiver<Self>, at_least: Self) {
        mode.wait_for(|m| *m >= at_least).await.ok();
    }
}
