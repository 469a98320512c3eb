//! A second Leeward of a state folder that waits for the first one to end, and is then the one that serves. Takes nothing from
//! one that serves.

use super::lock::{Lock, LockError};
use crate::config::Paths;
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks: connections wait meanwhile, where somebody holds the port.
const LOOK: Duration = Duration::from_millis(100);
/// Where the system cannot pass a lock from one process to another, it is free for some milliseconds in a hand-over.
const HANDED_WITHIN: Duration = Duration::from_millis(50);

/// The lock, once nobody has it any more.
///
/// # Errors
/// `Unwritable` when the state folder cannot be used.
pub async fn stand_by(paths: &Paths) -> Result<Lock, LockError> {
    loop {
        if !Lock::is_held(paths) {
            sleep(HANDED_WITHIN).await;
            if !Lock::is_held(paths) {
                match Lock::acquire(paths) {
                    Err(LockError::Held(_)) => {}
                    done => return done,
                }
            }
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_waits_until_nobody_serves_and_nobody_takes_over() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path());
        let serving = Lock::acquire(&paths).unwrap();
        let (asked, done) = (paths.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let (told, mut waits) = (done.clone(), tokio::task::JoinSet::new());
        waits.spawn(async move {
            let lock = stand_by(&asked).await;
            told.store(true, std::sync::atomic::Ordering::SeqCst);
            lock
        });
        // One that hands over passes the very lock on, or frees it for less than a look.
        let next = serving.share().unwrap();
        drop(serving);
        sleep(3 * LOOK).await;
        assert!(!done.load(std::sync::atomic::Ordering::SeqCst), "somebody serves");
        drop(next);
        let lock = waits.join_next().await.unwrap().unwrap().unwrap();
        assert!(matches!(Lock::acquire(&paths), Err(LockError::Held(_))));
        drop(lock);
    }
}
