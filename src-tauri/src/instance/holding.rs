//! A duplicate of the listening socket in a process whose agent uses it: while it is held the port is nobody else's, and
//! connections wait until Leeward accepts again. Whoever holds never accepts and touches no option, since all duplicates share
//! them: it passes the socket on and closes it.

use super::{
    door::{self, Door, Line, Word},
    holders::Registered,
};
use crate::config::Paths;
use std::{
    convert::Infallible,
    io,
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::spawn_blocking,
    time::{Instant, sleep},
};

/// Between two tries to accept at the door, where the system is short of something.
const AGAIN: Duration = Duration::from_millis(100);

/// How long connections may wait for a Leeward that accepts them. A client gives a connection 10 s or more, and the queue is
/// not to fill for nobody.
pub const ACCEPTED_WITHIN: Duration = Duration::from_secs(15);
/// As long as one after the other takes the socket and ends, others are tried for this long.
const TRIED_FOR: Duration = Duration::from_secs(60);

/// A process that holds the socket, or is about to.
#[derive(Debug)]
pub struct Holding {
    door: Door,
    held: Mutex<Held>,
    changed: Notify,
    registered: Option<Arc<Registered>>,
}

#[derive(Debug, Default)]
struct Held {
    socket: Option<TcpListener>,
    is_let_go: bool,
    is_expired: bool,
    /// When somebody last accepted, as far as this process knows.
    served: Option<Instant>,
    /// When somebody last took the socket to serve on it.
    given: Option<Instant>,
}

impl Holding {
    /// Opens a door for the socket, and registers it for whoever starts a Leeward here. Called within a runtime.
    ///
    /// # Errors
    /// When no door can be opened. One that cannot be registered serves its own session alone.
    pub fn open(paths: &Paths) -> io::Result<Self> {
        let door = Door::open()?;
        let registered = Registered::register(paths, door.path());
        let registered = registered.inspect_err(|why| tracing::warn!("not registered as a holder of the port: {why}")).ok();
        Ok(Self { door, held: Mutex::default(), changed: Notify::new(), registered: registered.map(Arc::new) })
    }

    /// Where the socket is brought, and asked for.
    pub fn door(&self) -> &Path {
        self.door.path()
    }

    /// Whether the socket is held now.
    pub fn is_held(&self) -> bool {
        self.held().socket.is_some()
    }

    /// Returns once the socket is held.
    pub async fn filled(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_held() {
                return;
            }
            changed.await;
        }
    }

    /// Whether Leeward was ended on purpose since the socket was held: then nobody starts it again.
    pub fn is_let_go(&self) -> bool {
        self.held().is_let_go
    }

    /// Somebody accepts.
    pub fn is_served(&self) {
        self.held().served = Some(Instant::now());
    }

    /// Whether somebody has taken the socket to serve on it since then.
    pub fn was_given_since(&self, moment: Instant) -> bool {
        self.held().given.is_some_and(|given| given >= moment)
    }

    /// Lets the socket go once nobody has accepted for too long: clients are better refused than left waiting. Whoever has
    /// just taken it gets its time, unless all before it ended as soon.
    pub async fn expires(&self) {
        let begun = Instant::now();
        loop {
            let left = {
                let held = self.held();
                let after = |moment: Option<Instant>| moment.map_or(begun, |moment| moment.max(begun));
                let by = (after(held.given.max(held.served)) + ACCEPTED_WITHIN).min(after(held.served) + TRIED_FOR);
                by.saturating_duration_since(Instant::now())
            };
            if left.is_zero() {
                return self.expire();
            }
            sleep(left).await;
        }
    }

    pub(super) fn expire(&self) {
        let mut held = self.held();
        if held.socket.take().is_some() {
            held.is_expired = true;
            tracing::error!("no Leeward accepted in time: the port is let go, and connections are refused");
        }
    }

    /// Whether the socket was ever let go for that.
    pub fn has_expired(&self) -> bool {
        self.held().is_expired
    }

    /// Answers whoever comes to the door, for as long as it is polled. Who is there when it is dropped is sent away.
    pub async fn attend(&self) -> Infallible {
        loop {
            let line = match self.door.next().await {
                Ok(line) => line,
                Err(why) => {
                    tracing::debug!("nobody comes through the door: {why}");
                    sleep(AGAIN).await;
                    continue;
                }
            };
            if let Err(why) = self.hear(line).await {
                tracing::debug!("whoever came left: {why}");
            }
        }
    }

    /// The lines are read and written on a thread of their own: the agent's signals wait for nobody.
    async fn hear(&self, mut line: Line) -> io::Result<()> {
        let heard = spawn_blocking(move || door::receive(&mut line).map(|heard| (heard, line)));
        let ((word, socket), mut line) = heard.await.map_err(io::Error::other)??;
        let port = socket.as_ref().and_then(|socket| socket.local_addr().ok()).map(|at| at.port());
        let registered = self.registered.clone();
        let (answer, socket) = self.answer(word, socket)?;
        let said = spawn_blocking(move || {
            if let (Some(registered), Some(port)) = (registered, port) {
                registered.holds(port);
            }
            door::send(&mut line, answer, socket.as_ref())
        });
        said.await.map_err(io::Error::other)?
    }

    fn answer(&self, word: Word, socket: Option<TcpListener>) -> io::Result<(Word, Option<TcpListener>)> {
        let mut held = self.held();
        match word {
            Word::Hold => {
                held.socket = socket;
                held.is_let_go = false;
                drop(held);
                self.changed.notify_waiters();
                Ok((Word::Done, None))
            }
            Word::Give => match &held.socket {
                Some(socket) => {
                    let socket = socket.try_clone()?;
                    held.given = Some(Instant::now());
                    Ok((Word::Here, Some(socket)))
                }
                None => Ok((Word::None, None)),
            },
            Word::LetGo => {
                held.socket = None;
                held.is_let_go = true;
                Ok((Word::Done, None))
            }
            Word::Here | Word::None | Word::Done => Err(io::Error::other("that is an answer, and nothing was asked")),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
