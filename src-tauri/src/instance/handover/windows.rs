//! Windows half of `handover`: over a loopback connection goes a ticket that only the process that asked can use. A lock
//! cannot pass: it is let go and taken, and taken back when nothing comes of it.

use super::taken::{Confirmation, SENT_WITHIN, Taken, confirmation};
use crate::{
    config::Paths,
    instance::{
        lock::{Lock, LockError},
        token::random_key,
    },
};
use leeward_windows::Ticket;
use std::{
    fs::File,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Between two tries to get a lock.
const POLL: Duration = Duration::from_millis(2);
/// Digits of the key: whoever knows them has them from the process that waits.
const KEY: usize = 64;

/// Where the ticket arrives: a port of this machine, and a key that tells a friend from others who find the port.
pub(crate) fn handover_socket(paths: &Paths) -> io::Result<Doorstep> {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    door.set_nonblocking(true)?;
    let key = random_key()?;
    let path = format!("{}/{key}", door.local_addr()?).into();
    Ok(Doorstep { door: tokio::net::TcpListener::from_std(door)?, key, path, paths: paths.clone() })
}

/// See `handover_socket`.
#[derive(Debug)]
pub(crate) struct Doorstep {
    door: tokio::net::TcpListener,
    key: String,
    path: PathBuf,
    paths: Paths,
}

impl Doorstep {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The first who comes with the key brings them.
    pub(crate) async fn receive(self) -> io::Result<Taken> {
        let mut line = loop {
            let (line, _) = self.door.accept().await?;
            if let Some(line) = self.greet(line.into_std()?)? {
                break line;
            }
        };
        line.write_all(&std::process::id().to_le_bytes())?;
        let mut ticket: Ticket = [0; size_of::<Ticket>()];
        // A process with fewer rights than this one cannot give it anything.
        line.read_exact(&mut ticket).map_err(|e| {
            io::Error::new(io::ErrorKind::Unsupported, format!("it cannot pass its socket to this process ({e})"))
        })?;
        let listener = leeward_windows::take(&ticket)?;
        let lock = within(SENT_WITHIN, || match Lock::take(&self.paths) {
            Err(LockError::Held(_)) => None,
            done => Some(done.map_err(io::Error::other)),
        });
        let lock = lock.unwrap_or_else(|| Err(io::Error::other("the lock was not let go")))?;
        Ok(Taken { listener, lock, confirmation: Some(Confirmation(line)) })
    }

    /// `None` for one that does not know the key.
    fn greet(&self, mut line: TcpStream) -> io::Result<Option<TcpStream>> {
        line.set_nonblocking(false)?;
        line.set_read_timeout(Some(SENT_WITHIN))?;
        line.set_write_timeout(Some(SENT_WITHIN))?;
        let mut key = [0u8; KEY];
        Ok((line.read_exact(&mut key).is_ok() && key == self.key.as_bytes()).then_some(line))
    }
}

/// Sends the ticket and waits for the confirmation.
pub(super) fn hand_over(to: &Path, listener: &TcpListener, lock: &File, limit: Duration) -> io::Result<()> {
    let mut line = reach(to)?;
    let mut pid = [0u8; 4];
    line.read_exact(&mut pid)?;
    let ticket = leeward_windows::share(listener, u32::from_le_bytes(pid))?;
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

fn reach(to: &Path) -> io::Result<TcpStream> {
    let named = to.to_str().and_then(|to| to.split_once('/'));
    let (address, key) = named.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "that is no `ADDRESS/KEY`"))?;
    let address: SocketAddr = address.parse().map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    if !address.ip().is_loopback() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a socket passes within this machine alone"));
    }
    let mut line = TcpStream::connect_timeout(&address, SENT_WITHIN)?;
    line.set_read_timeout(Some(SENT_WITHIN))?;
    line.set_write_timeout(Some(SENT_WITHIN))?;
    line.write_all(key.as_bytes())?;
    Ok(line)
}

/// The first answer within the limit.
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

    /// What the first process has, and a way to the second; both are this one. Called within a runtime.
    fn two() -> (tempfile::TempDir, Paths, TcpListener, Lock, Doorstep) {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        let lock = Lock::acquire(&paths).unwrap();
        let handover_socket = handover_socket(&paths).unwrap();
        (dir, paths, TcpListener::bind("127.0.0.1:0").unwrap(), lock, handover_socket)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_and_lock_pass_and_a_stranger_gets_nothing() {
        let (_dir, paths, listener, lock, handover_socket) = two();
        let (address, to) = (listener.local_addr().unwrap(), handover_socket.path().to_owned());
        let wrong = to.to_str().unwrap().replace(&handover_socket.key, &"0".repeat(KEY));
        let mut stranger = reach(Path::new(&wrong)).unwrap();
        let giving = std::thread::spawn(move || hand_over(&to, &listener, &lock.file, SENT_WITHIN).map(|()| (listener, lock)));
        let taken = handover_socket.receive().await.unwrap();
        assert!(matches!(stranger.read(&mut [0u8]), Ok(0) | Err(_)), "nothing is said to whoever has no key");
        assert_eq!(taken.listener.local_addr().unwrap(), address);
        taken.confirmation.unwrap().confirm().unwrap();
        drop(giving.join().unwrap().unwrap());
        assert!(matches!(Lock::acquire(&paths), Err(LockError::Held(_))), "the lock is ours");
        TcpStream::connect(address).expect("the socket is ours");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_lock_is_taken_back_when_nobody_confirms() {
        let (_dir, paths, listener, lock, handover_socket) = two();
        let to = handover_socket.path().to_owned();
        let giving = std::thread::spawn(move || hand_over(&to, &listener, &lock.file, SENT_WITHIN).map_err(|why| (why, lock)));
        drop(handover_socket.receive().await.unwrap());
        let (why, _lock) = giving.join().unwrap().unwrap_err();
        assert!(why.to_string().contains("has ended"), "{why}");
        assert!(matches!(Lock::acquire(&paths), Err(LockError::Held(_))));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_that_may_give_nothing_says_so_by_going() {
        let (_dir, _paths, _listener, _lock, handover_socket) = two();
        let mut line = reach(handover_socket.path()).unwrap();
        let going = std::thread::spawn(move || line.read_exact(&mut [0u8; 4]).unwrap());
        let why = handover_socket.receive().await.unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::Unsupported, "{why}");
        going.join().unwrap();
        assert!(reach(Path::new("192.0.2.1:1/key")).unwrap_err().to_string().contains("this machine alone"));
    }
}
