//! An instance that accepts and says nothing, since its process was stopped or hangs: woken first, and ended only after the
//! system has said that it is ours and it has said nothing for long. Starts none in its place.

#[cfg(unix)]
#[path = "hung/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "hung/windows.rs"]
mod platform;

use super::{holder::is_held_by, record::Record};
use crate::socket_owner;
use std::time::Duration;
use tokio::{task::spawn_blocking, time::Instant};

/// A running instance replaces an engine that stalls within three seconds, by itself. One that has said nothing on several
/// connections for this long does nothing any more.
const ENDED_AFTER: Duration = Duration::from_secs(10);

/// What a silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// An instance of ours says nothing, and is watched, or was just ended.
    Hangs,
    /// The system does not say that it is ours.
    Unknown,
}

/// What was seen of one instance that says nothing.
#[derive(Debug, Default)]
pub(super) struct Hung {
    /// Its process, and since when.
    since: Option<(u32, Instant)>,
}

impl Hung {
    /// It has said nothing once more.
    pub(super) async fn is_silent(&mut self, record: &Record) -> Silence {
        let pid = record.pid;
        if !is_ours(record).await {
            self.since = None;
            return Silence::Unknown;
        }
        match self.since.filter(|(known, _)| *known == pid) {
            None => {
                self.since = Some((pid, Instant::now()));
                match platform::wake(pid) {
                    Ok(()) => tracing::info!("the Leeward of process {pid} says nothing; it was asked to go on"),
                    Err(why) => tracing::debug!("process {pid} was not woken: {why}"),
                }
            }
            Some((_, since)) if since.elapsed() < ENDED_AFTER => {}
            Some(_) => match platform::end(pid) {
                Ok(()) => {
                    tracing::warn!("the Leeward of process {pid} had said nothing for {ENDED_AFTER:?} and was ended");
                    self.since = None;
                }
                Err(why) => tracing::warn!("process {pid} says nothing and could not be ended: {why}"),
            },
        }
        Silence::Hangs
    }

    /// It answers, or is gone.
    pub(super) fn is_over(&mut self) {
        self.since = None;
    }
}

/// What the system says: this user listens there, and with this very process.
async fn is_ours(record: &Record) -> bool {
    let (pid, address) = (record.pid, record.address);
    let asked = spawn_blocking(move || socket_owner::of_listener(address).is_own() && is_held_by(address, pid));
    asked.await.unwrap_or(false)
}
