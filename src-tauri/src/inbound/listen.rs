//! The accept loop: every error costs one connection at most, and no kind of error ends it (L1, L2, L7, L8).
//!
//! There is no list of benign errors: one event was seen as four different ones. What is told apart is only how long
//! to wait, and when to ask the supervisor whether the socket itself is still there.

mod also;
mod gone;
mod kind;
#[cfg(unix)]
#[path = "listen/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "listen/windows.rs"]
mod platform;
mod pulse;
mod served;

pub use also::Also;
pub use gone::let_go;
pub use kind::Kind;
pub use pulse::Pulse;
pub use served::Served;

use crate::{control::Mode, health::Code};
use std::{
    future::{pending, poll_fn},
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Where connections come from: a socket, or in a test one that fails on demand.
pub trait Accept: Send {
    /// The next connection, or the next error.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>>;

    /// Ends with a socket of this address that is gone.
    fn let_go(self: Box<Self>, address: SocketAddr);
}

/// Makes a socket of the supervisor's into something that accepts, on the runtime that will accept from it.
pub type Adopt = Arc<dyn Fn(std::net::TcpListener) -> io::Result<Box<dyn Accept>> + Send + Sync>;

/// The plain way: accept from the socket itself.
pub fn adopt(socket: std::net::TcpListener) -> io::Result<Box<dyn Accept>> {
    socket.set_nonblocking(true)?;
    Ok(Box::new(TcpListener::from_std(socket)?))
}

impl Accept for TcpListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        TcpListener::poll_accept(self, cx)
    }

    fn let_go(self: Box<Self>, address: SocketAddr) {
        let_go(*self, address);
    }
}

/// What the accept loop reports to the supervisor.
#[derive(Debug)]
pub enum Event {
    /// The loop of this generation accepts.
    Accepting(u64),
    /// Accepting fails in a way that may mean that the socket is gone.
    SocketSuspect {
        /// Which generation saw it.
        generation: u64,
        /// The error.
        why: String,
    },
    /// The loop has let go of its handle of the socket, as the order of this number asked.
    LetGo(u64),
    /// The loop or the whole generation ended without having been asked to.
    Ended {
        /// Which generation.
        generation: u64,
        /// Why, as far as known.
        why: String,
    },
}

/// First and longest pause after resource errors.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));
/// So many errors in a row without one success are no storm of resets any more.
const MANY: u32 = 256;

/// What the supervisor orders an accept loop to do.
#[derive(Debug)]
pub enum Order {
    /// Let go of the socket, say so with this number, and wait.
    LetGo(u64),
    /// Accept from this one: another socket, or a fresh handle of the same.
    Take(std::net::TcpListener),
}

/// The accept loop of one generation.
pub struct Listen {
    /// Who serves the connections.
    pub served: Served,
    /// Number of the generation.
    pub generation: u64,
    /// The first socket; `None` later, as long as it has none.
    pub listener: Option<Box<dyn Accept>>,
    /// What the supervisor says of it.
    pub orders: mpsc::Receiver<Order>,
    /// How they are adopted.
    pub adopt: Adopt,
    /// To the supervisor.
    pub events: mpsc::Sender<Event>,
    /// How the supervisor sees that the loop runs.
    pub pulse: Arc<Pulse>,
}

impl std::fmt::Debug for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listen").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Listen {
    /// Accepts until the mode is no longer `Serving`.
    pub async fn run(mut self) {
        let mut mode = self.served.inbound.mode.clone();
        let (mut in_a_row, mut pause, mut exhausted) = (0u32, PAUSE.0, false);
        let mut resume_at: Option<Instant> = None;
        self.tell(Event::Accepting(self.generation));
        loop {
            let accepted = tokio::select! {
                biased;
                () = Mode::reaches(&mut mode, Mode::Draining) => return self.let_go(),
                Some(order) = self.orders.recv() => {
                    in_a_row = 0;
                    match order {
                        Order::LetGo(number) => {
                            self.let_go();
                            self.tell(Event::LetGo(number));
                        }
                        Order::Take(socket) => {
                            self.let_go();
                            // While one address follows another it may be of the next.
                            self.served.local = socket.local_addr().unwrap_or(self.served.local);
                            match (self.adopt)(socket) {
                                // The pause stays: should this socket fail as well, the two of us must not spin.
                                Ok(listener) => self.listener = Some(listener),
                                Err(e) => return self.end(&format!("it could not take a new socket: {e}")),
                            }
                        }
                    }
                    continue;
                }
                () = self.pulse.answer() => continue,
                () = sleep_until(resume_at.unwrap_or_else(Instant::now)), if resume_at.is_some() => {
                    resume_at = None;
                    continue;
                }
                accepted = accept(&mut self.listener), if resume_at.is_none() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    (in_a_row, pause) = (0, PAUSE.0);
                    if std::mem::take(&mut exhausted) {
                        self.served.inbound.health.clear(Code::ResourcesExhausted, None);
                    }
                    self.served.take(stream, peer);
                }
                Err(error) => {
                    in_a_row = in_a_row.saturating_add(1);
                    self.served.inbound.counters.failed(&error);
                    let kind = Kind::of(&error);
                    if in_a_row.is_power_of_two() {
                        tracing::warn!(in_a_row, ?kind, code = error.raw_os_error(), "accept failed; going on: {error}");
                    }
                    if kind == Kind::Resources {
                        exhausted = true;
                        let sentence = format!(
                            "New connections wait because the system is out of file descriptors or memory ({error}); close programs, or raise the limit (ulimit -n)."
                        );
                        self.served.inbound.health.set(Code::ResourcesExhausted, None, sentence);
                    }
                    if kind == Kind::Socket {
                        // The handle itself is of no use: before there is another one, which may get its number.
                        self.let_go();
                    }
                    if kind == Kind::Socket || in_a_row.is_multiple_of(MANY) {
                        self.tell(Event::SocketSuspect { generation: self.generation, why: error.to_string() });
                    }
                    if kind == Kind::Connection && in_a_row < MANY {
                        // A pause of even a millisecond lets a storm fill the backlog; others only get their turn.
                        tokio::task::yield_now().await;
                    } else {
                        resume_at = Some(Instant::now() + pause);
                        pause = (pause * 2).min(PAUSE.1);
                    }
                }
            }
        }
    }

    fn let_go(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.let_go(self.served.local);
        }
    }

    /// The supervisor starts the next generation.
    fn end(&self, why: &str) {
        self.tell(Event::Ended { generation: self.generation, why: why.to_owned() });
    }

    /// The supervisor reads at once or not at all; an event too many is not worth a wait.
    fn tell(&self, event: Event) {
        if let Err(e) = self.events.try_send(event) {
            tracing::warn!("the supervisor does not listen: {e}");
        }
    }
}

/// Never comes without a socket.
async fn accept(listener: &mut Option<Box<dyn Accept>>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => poll_fn(|cx| listener.poll_accept(cx)).await,
        None => pending().await,
    }
}
