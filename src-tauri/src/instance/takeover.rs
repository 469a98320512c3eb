//! The second Leeward of a state folder: brings up the first one's window or, where that has none, takes its place.

use super::{
    address::reachable,
    client::{Client, ClientError},
    door::Door,
    handover::{Taken, receive},
    lock::Lock,
    record::Record,
};
use crate::config::{Paths, Secret};
use serde_json::{Value, json};
use std::{io, net::TcpListener, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// Limit of one question to an instance on this machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How long it may take until the other's lock or socket is there.
const HANDED_WITHIN: Duration = Duration::from_secs(5);
/// Between two tries to get lock and port: the gap in which connections are refused is not to be longer for it.
const POLL: Duration = Duration::from_millis(2);

/// How the first one gave way.
#[derive(Debug)]
pub enum TakeOver {
    /// It has a window and shows it; this process is not needed.
    Shown,
    /// Its place is ours.
    Taken(Taken),
}

/// Why it did not give way. It goes on serving.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// It could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The way for socket and lock could not be laid.
    #[error("Leeward on {address} (pid {pid}) could not hand its port on: {why}")]
    Failed {
        /// Where it serves.
        address: std::net::SocketAddr,
        /// Its process.
        pid: u32,
        /// What went wrong.
        why: io::Error,
    },
}

/// Asks the instance of `record` to show itself, else to give way. `drain`: how long its requests may finish.
///
/// # Errors
/// `TakeOverError`; the other one goes on.
pub async fn take_over(
    paths: &Paths,
    record: &Record,
    client_token: Option<Secret>,
    drain: Duration,
) -> Result<TakeOver, TakeOverError> {
    let client = Client::at(reachable(record.address), paths)?.with_client_token(client_token);
    match client.post("/_leeward/v1/show", &Value::Null, ANSWER_WITHIN).await {
        Ok(_) => return Ok(TakeOver::Shown),
        // It has no window, or is of a version that knows of none.
        Err(ClientError::Refused { status: 404, .. }) => {}
        Err(why) => return Err(why.into()),
    }
    let failed = |why| TakeOverError::Failed { address: record.address, pid: record.pid, why };
    let door = Door::open().map_err(failed)?;
    let asked = json!({ "to": door.path() });
    let handed = tokio::select! {
        handed = timeout(HANDED_WITHIN, receive(door, paths)) => handed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        // A response before the socket is a refusal.
        answer = client.post("/_leeward/v1/handover", &asked, 2 * HANDED_WITHIN) => match answer {
            Err(why @ ClientError::Refused { status: 404, .. }) => Err(io::Error::new(io::ErrorKind::Unsupported, why)),
            Err(why) => return Err(why.into()),
            Ok(_) => Err(io::Error::other("it says that it has, and nothing came")),
        },
    };
    match handed {
        Err(why) if why.kind() == io::ErrorKind::Unsupported => {
            tracing::debug!("it ends first: {why}");
            freed(&client, record.address, paths, drain).await.map_err(failed)
        }
        handed => handed.map(TakeOver::Taken).map_err(failed),
    }
}

/// The longer way: it ends, and lets go of socket and lock before its requests have finished. Connections are refused
/// until the address is bound again (every address, where it was bound to all), which is tried every few milliseconds.
async fn freed(client: &Client, address: std::net::SocketAddr, paths: &Paths, drain: Duration) -> io::Result<TakeOver> {
    let drain_ms = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX);
    client.post("/_leeward/v1/stop", &json!({ "drain_ms": drain_ms }), ANSWER_WITHIN).await.map_err(io::Error::other)?;
    let until = Instant::now() + HANDED_WITHIN;
    let (mut lock, mut listener) = (None, None);
    loop {
        if listener.is_none() {
            match TcpListener::bind(address) {
                Ok(bound) => listener = Some(bound),
                Err(why) if Instant::now() >= until => return Err(why),
                Err(_) => {}
            }
        }
        if lock.is_none() {
            match Lock::acquire(paths) {
                Ok(ours) => lock = Some(ours),
                Err(why) if Instant::now() >= until => return Err(io::Error::other(why)),
                Err(_) => {}
            }
        }
        match (listener, lock) {
            (Some(listener), Some(lock)) => return Ok(TakeOver::Taken(Taken { listener, lock, confirmation: None })),
            not_yet => (listener, lock) = not_yet,
        }
        sleep(POLL).await;
    }
}
