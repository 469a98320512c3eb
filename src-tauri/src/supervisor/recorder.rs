//! The record of this Leeward, for whoever looks for it. A state folder that does not take it ends nothing: a condition says so,
//! and it is tried again until it is written.

use crate::{
    config::Paths,
    health::{Code, Tracker, unix_ms},
    instance::{self, Record},
    status::Status,
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// Between two tries.
const AGAIN: Duration = Duration::from_secs(1);
/// What the condition concerns.
const SUBJECT: Option<&str> = Some("instance.json");

/// What is to be recorded, and whether it is.
#[derive(Debug)]
pub struct Recorder {
    paths: Paths,
    health: Tracker,
    record: Record,
    due: Option<Instant>,
}

impl Recorder {
    /// Writes nothing yet.
    pub fn new(paths: Paths, health: Tracker, address: SocketAddr) -> Self {
        let version = env!("CARGO_PKG_VERSION").into();
        let record = Record { pid: std::process::id(), address, version, started_unix_ms: unix_ms() };
        Self { paths, health, record, due: None }
    }

    /// This Leeward is found there from now on, or as soon as that can be written.
    pub fn write(&mut self, address: SocketAddr) {
        self.record.address = address;
        match instance::write_record(&self.paths, &self.record) {
            Ok(()) => {
                self.due = None;
                self.health.clear(Code::StateUnwritable, SUBJECT);
            }
            Err(why) => {
                self.due = Some(Instant::now() + AGAIN);
                self.health.set(Code::StateUnwritable, SUBJECT, instance::not_recorded(&self.paths, &why));
            }
        }
    }

    /// Nobody is to find it any more.
    pub fn remove(&mut self) {
        self.due = None;
        instance::remove_record(&self.paths);
    }

    /// Returns when it is to be written again; for ever where it is written.
    pub async fn due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Keeps the record true while the engine goes to another address; ends with its status.
    pub async fn follow(mut self, mut status: watch::Receiver<Status>) {
        loop {
            let now = status.borrow_and_update().listener.address.parse().unwrap_or(self.record.address);
            if now != self.record.address {
                self.write(now);
            }
            tokio::select! {
                changed = status.changed() => if changed.is_err() {
                    return;
                },
                () = self.due() => self.write(self.record.address),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_written_is_told_and_written_later() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path());
        std::fs::write(&paths.state_dir, "a file in the folder's place").unwrap();
        let (health, address) = (Tracker::default(), "127.0.0.1:8787".parse().unwrap());
        let mut recorder = Recorder::new(paths.clone(), health.clone(), address);
        recorder.write(address);
        let told = health.visible();
        assert!(told.len() == 1 && told[0].sentence.contains(&paths.state_dir.display().to_string()), "{told:?}");
        std::fs::remove_file(&paths.state_dir).unwrap();
        std::fs::create_dir(&paths.state_dir).unwrap();
        recorder.due().await;
        recorder.write(address);
        assert_eq!((instance::read_record(&paths).unwrap().address, health.visible()), (address, Vec::new()));
        recorder.remove();
        assert_eq!(instance::read_record(&paths), None);
    }
}
