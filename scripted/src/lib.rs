//! A scripted upstream: an HTTP/1.1 server on loopback that speaks the agents' APIs and fails exactly as scripted.
//!
//! Written on raw sockets, because a proper server library cannot misbehave. `leeward demo`, the tests, the soak and the
//! torture stand before it; an agent's real request never reaches it. It knows nothing of Leeward.

mod answer;
mod api;
mod clip;
pub mod coding;
mod connection;
mod fault;
mod forward;
mod log;
mod plan;
#[cfg(test)]
mod tests;
mod tls;
mod wire;
mod write;

pub use fault::{Fault, Mark, When};
pub use forward::Forward;
pub use log::{Answered, Body, Connection, Head, KEPT_BODY, Log, Record, Request};
pub use plan::{Moment, Plan};

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
    time::MissedTickBehavior,
};
use tokio_rustls::TlsAcceptor;
use url::Url;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// The shortest pause of a `Queue`.
const LEAST: Duration = Duration::from_millis(1);

/// A short queue before an upstream: connections wait in it to be accepted, and one that finds it full is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Connections that may wait.
    pub places: usize,
    /// Pause before each is taken out of it; 1 ms at least.
    pub every: Duration,
}

/// A running upstream. Dropping it ends its tasks and closes its sockets, as soon as the runtime gets to it.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    url: Url,
    authority: Option<rcgen::Certificate>,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// What its tasks share.
struct Shared {
    log: Log,
    plan: RwLock<Arc<Plan>>,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("log", &self.log).field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Shared {
    fn choose(&self, moment: &Moment<'_>) -> Fault {
        let plan = self.plan.read().unwrap_or_else(PoisonError::into_inner).clone();
        plan.choose(moment)
    }
}

impl Upstream {
    /// A plain HTTP upstream on a free loopback port.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub fn plain(plan: Plan) -> io::Result<Self> {
        Self::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), plan, false)
    }

    /// A TLS upstream on a free loopback port, with a throw-away certificate authority.
    ///
    /// # Errors
    /// When no socket can be bound or no certificate made.
    pub fn tls(plan: Plan) -> io::Result<Self> {
        Self::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), plan, true)
    }

    /// As `tls`, with a short queue.
    ///
    /// # Errors
    /// As `tls`.
    pub fn behind(queue: Queue, plan: Plan) -> io::Result<Self> {
        Self::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), plan, true, Some(queue))
    }

    /// An upstream at an address of one's own; it must be called within a Tokio runtime, which then runs its tasks.
    ///
    /// # Errors
    /// As `tls`.
    pub fn start(address: SocketAddr, plan: Plan, tls: bool) -> io::Result<Self> {
        Self::open(address, plan, tls, None)
    }

    fn open(address: SocketAddr, plan: Plan, tls: bool, queue: Option<Queue>) -> io::Result<Self> {
        let (tls, authority) = if tls { tls::throw_away().map(|(t, a)| (Some(t), Some(a)))? } else { (None, None) };
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // On Unix: a test that starts it again on the same port must not wait for old connections to be forgotten. On
        // Windows the option means something else.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let scheme = if authority.is_some() { "https" } else { "http" };
        let url = Url::parse(&format!("{scheme}://{address}/")).map_err(io::Error::other)?;
        let shared = Arc::new(Shared { log: Log::new(), plan: RwLock::new(Arc::new(plan)), tls });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared), queue));
        Ok(Self { address, url, authority, shared, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, or `https://…` for a TLS upstream.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The throw-away authority's certificate (DER) of a TLS upstream; for clients that trust nobody else.
    pub fn authority(&self) -> Option<&[u8]> {
        self.authority.as_ref().map(|a| a.der().as_ref())
    }

    /// The same as PEM; for Leeward's `extra_ca`.
    pub fn authority_pem(&self) -> Option<String> {
        self.authority.as_ref().map(rcgen::Certificate::pem)
    }

    /// What it has seen.
    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    /// Ends it and returns once nothing listens on its port any more.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    /// Replaces the plan; connections and requests that come from now on follow the new one.
    pub fn follow(&self, plan: Plan) {
        *self.shared.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, queue: Option<Queue>) {
    let (mut connections, mut waiting) = (JoinSet::new(), VecDeque::new());
    let places = queue.map_or(usize::MAX, |q| q.places);
    let mut pace = tokio::time::interval(queue.map_or(LEAST, |q| q.every.max(LEAST)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let number = shared.log.connection();
                    if queue.is_none() {
                        Some((stream, number))
                    } else if waiting.len() < places {
                        waiting.push_back((stream, number));
                        None
                    } else {
                        connection::overflow(&shared, &stream, number);
                        None
                    }
                }
                // One connection is lost, or descriptors are short for a moment; the upstream itself goes on.
                Err(_) => {
                    tokio::task::yield_now().await;
                    None
                }
            },
            _ = pace.tick(), if !waiting.is_empty() => waiting.pop_front(),
            Some(ended) = connections.join_next() => {
                if let Err(e) = ended && e.is_panic() {
                    tracing::error!("a connection of the scripted upstream panicked: {e}");
                }
                None
            }
        };
        if let Some((stream, number)) = next {
            let shared = Arc::clone(&shared);
            connections.spawn(async move { connection::serve(&shared, stream, number).await });
        }
    }
}
