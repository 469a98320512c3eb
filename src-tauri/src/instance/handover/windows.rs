//! Windows half of `handover`: the socket passes as a ticket. A lock cannot pass: it is let go and taken, and taken back when
//! nothing comes of it.

use super::taken::{Confirmation, Taken, confirmation};
use crate::{
    config::Paths,
    instance::{
        door::{self, Door, SENT_WITHIN},
        lock::{Lock, LockError},
    },
};
use std::{
    fs::File,
    io::{self, Write},
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

/// Between two tries to get a lock.
const POLL: Duration = Duration::from_millis(2);

/// The first who comes with the key brings them.
pub(in crate::instance) async fn receive(door: Door, paths: &Paths) -> io::Result<Taken> {
    let mut line = door.next().await?;
    door::send_pid(&mut line)?;
    let listener = door::receive_ticket(&mut line)?;
    let lock = within(SENT_WITHIN, || match Lock::take(paths) {
        Err(LockError::Held(_)) => None,
        done => Some(done.map_err(io::Error::other)),
    });
    let lock = lock.unwrap_or_else(|| Err(io::Error::other("the lock was not let go")))?;
    Ok(Taken { listener, lock, confirmation: Some(Confirmation(line)) })
}

/// Sends the ticket and waits for the confirmation.
pub(super) fn hand_over(to: &Path, listener: &TcpListener, lock: &File, limit: Duration) -> io::Result<()> {
    let mut line = door::knock(to)?;
    let pid = door::receive_pid(&mut line)?;
    let ticket = door::ticket(listener, pid)?;
    // One that is not let go is found held by the other, which then gives up. (Wine 8 lets go, and says that it has not.)
    lock.unlock().ok();
    let confirmed = line.write_all(&ticket).and_then(|()| {
        line.set_read_timeout(Some(limit))?;
        confirmation(&line, limit)
    });
    if confirmed.is_err() {
        drop(line); // the other lets go of what it may have
        if within(SENT_WITHIN, || lock.try_lock().ok()).is_none() {
            tracing::error!("another Leeward has taken the lock of this one's state folder, and not its place");
        }
    }
    confirmed
}

/// The first result within the limit.
fn within<T>(limit: Duration, mut poll: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + limit;
    loop {
        match poll() {
            Some(found) => return Some(found),
            None if Instant::now() >= until => return None,
            None => std::thread::sleep(POLL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read, net::TcpStream};

    /// What the first process has, and a way to the second; both are this one. Called within a runtime.
    fn two() -> (tempfile::TempDir, Paths, TcpListener, Lock, Door) {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        let lock = Lock::acquire(&paths).unwrap();
        (dir, paths, TcpListener::bind("127.0.0.1:0").unwrap(), lock, Door::open().unwrap())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_and_lock_pass_and_a_stranger_gets_nothing() {
        let (_dir, paths, listener, lock, door) = two();
        let (address, to) = (listener.local_addr().unwrap(), door.path().to_owned());
        let (at, key) = to.to_str().unwrap().split_once('/').unwrap();
        let wrong = format!("{at}/{}", "0".repeat(key.len()));
        let mut stranger = door::knock(Path::new(&wrong)).unwrap();
        let giving = std::thread::spawn(move || hand_over(&to, &listener, &lock.file, SENT_WITHIN).map(|()| (listener, lock)));
        let taken = receive(door, &paths).await.unwrap();
        assert!(matches!(stranger.read(&mut [0u8]), Ok(0) | Err(_)), "nothing is said to whoever has no key");
        assert_eq!(taken.listener.local_addr().unwrap(), address);
        taken.confirmation.unwrap().confirm().unwrap();
        drop(giving.join().unwrap().unwrap());
        assert!(matches!(Lock::acquire(&paths), Err(LockError::Held(_))), "the lock is ours");
        TcpStream::connect(address).expect("the socket is ours");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_lock_is_taken_back_when_nobody_confirms() {
        let (_dir, paths, listener, lock, door) = two();
        let to = door.path().to_owned();
        let giving = std::thread::spawn(move || hand_over(&to, &listener, &lock.file, SENT_WITHIN).map_err(|why| (why, lock)));
        drop(receive(door, &paths).await.unwrap());
        let (why, _lock) = giving.join().unwrap().unwrap_err();
        assert!(why.to_string().contains("has ended"), "{why}");
        assert!(matches!(Lock::acquire(&paths), Err(LockError::Held(_))));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_that_may_give_nothing_says_so_by_going() {
        let (_dir, paths, _listener, _lock, door) = two();
        let mut line = door::knock(door.path()).unwrap();
        let going = std::thread::spawn(move || line.read_exact(&mut [0u8; 4]).unwrap());
        let why = receive(door, &paths).await.unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::Unsupported, "{why}");
        going.join().unwrap();
        assert!(door::knock(Path::new("192.0.2.1:1/key")).unwrap_err().to_string().contains("this machine alone"));
    }
}
