//! Commands on their way down: what the CLI, the tray or the panel asks the supervisor to do.
//!
//! The only channel in that direction. Also the mode that the supervisor puts a generation in, and the `wrap` sessions that
//! hold a control stream open.

use crate::config::{Covers, Egress, Secret};
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
    /// The agent's profile name.
    pub agent: String,
    /// The wrap's process.
    pub pid: u32,
    /// Since when, in milliseconds since 1970.
    pub since_unix_ms: u64,
    /// How the agent's requests reach Leeward.
    #[serde(default)]
    pub covers: Covers,
    /// Where the wrap holds the listening socket. Nobody else's business.
    #[serde(skip)]
    #[cfg_attr(test, ts(skip))]
    pub door: Option<PathBuf>,
}

/// What opens tunnels for a session's programs, and nothing else. It ends with the session.
#[derive(Clone, Debug)]
pub struct TunnelKey {
    /// The password in `Proxy-Authorization`.
    pub token: Secret,
    /// The session's agent.
    pub agent: String,
    /// The session's way out, where it is not the engine's.
    pub egress: Option<Egress>,
}

#[derive(Debug)]
struct Open {
    next: u64,
    sessions: BTreeMap<u64, Session>,
    keys: BTreeMap<u64, TunnelKey>,
    idle_since: Instant,
    /// When a key was missing last that may come back: at the process's start, and when a session ended.
    missed: Instant,
    /// Notified when a key is added.
    added: watch::Sender<()>,
}

/// A session whose engine was replaced or killed opens again within this time.
const REOPENED_WITHIN: Duration = Duration::from_secs(10);
/// As long waits a program whose token is not known yet; agents' fetches wait for 5 s in all.
const KEY_WITHIN: Duration = Duration::from_secs(3);

/// The open sessions; clones share the list.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Mutex<Open>>);

impl Default for Sessions {
    fn default() -> Self {
        let now = Instant::now();
        let (sessions, keys) = (BTreeMap::new(), BTreeMap::new());
        Self(Arc::new(Mutex::new(Open { next: 0, sessions, keys, idle_since: now, missed: now, added: watch::Sender::new(()) })))
    }
}

impl Sessions {
    /// Adds a session for as long as the guard lives.
    pub fn open(&self, session: Session) -> SessionGuard {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = open.next;
        open.next += 1;
        open.sessions.insert(id, session);
        SessionGuard { id, sessions: self.clone() }
    }

    /// The open sessions, oldest first.
    pub fn list(&self) -> Vec<Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sessions.values().cloned().collect()
    }

    /// The session's key that this token is. All are compared, so that the time says nothing about which one it resembles.
    pub fn tunnel_key(&self, token: &str) -> Option<TunnelKey> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.keys.values().fold(None, |found, key| if key.token.matches(token) { Some(key.clone()) } else { found })
    }

    /// The same, and shortly after a session could have lost its stream also the key of one that opens again.
    pub async fn awaited_tunnel_key(&self, token: &str) -> Option<TunnelKey> {
        let (missed, mut added) = {
            let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (open.missed, open.added.subscribe())
        };
        let known = self.tunnel_key(token);
        if known.is_some() || missed.elapsed() > REOPENED_WITHIN {
            return known;
        }
        let coming = async {
            loop {
                added.changed().await.ok()?;
                let known = self.tunnel_key(token);
                if known.is_some() {
                    return known;
                }
            }
        };
        tokio::time::timeout(KEY_WITHIN, coming).await.ok().flatten()
    }

    /// The doors of those that hold the listening socket.
    pub fn doors(&self) -> Vec<PathBuf> {
        self.list().into_iter().filter_map(|session| session.door).collect()
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
}

impl SessionGuard {
    /// The session's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The session's programs may open tunnels with this key.
    pub fn opens_tunnels(&self, key: TunnelKey) {
        let mut open = self.sessions.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.keys.insert(self.id, key);
        open.added.send_replace(());
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        let mut open = self.sessions.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.sessions.remove(&self.id);
        open.keys.remove(&self.id);
        open.idle_since = Instant::now();
        open.missed = open.idle_since;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_is_awaited_only_while_its_session_may_open_again() {
        let sessions = Sessions::default();
        let key = |token: &str| TunnelKey { token: Secret::new(token.to_owned()), agent: "a".into(), egress: None };
        let session = || Session { agent: "a".into(), pid: 1, since_unix_ms: 0, covers: Covers::default(), door: None };
        let begun = Instant::now();
        assert!(sessions.awaited_tunnel_key("one").await.is_none());
        assert_eq!(begun.elapsed(), KEY_WITHIN, "the process has just started");
        let (waiting, guard) = tokio::join!(sessions.awaited_tunnel_key("one"), async {
            let other = sessions.open(session());
            other.opens_tunnels(key("two"));
            tokio::time::sleep(Duration::from_secs(1)).await;
            let guard = sessions.open(session());
            guard.opens_tunnels(key("one"));
            guard
        });
        assert!(waiting.is_some(), "it has opened again");
        drop(guard);
        tokio::time::sleep(REOPENED_WITHIN + Duration::from_millis(1)).await;
        let begun = Instant::now();
        assert!(sessions.awaited_tunnel_key("one").await.is_none());
        assert_eq!(begun.elapsed(), Duration::ZERO, "an ended session's token is refused at once");
    }
}
