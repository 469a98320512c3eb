//! Windows half of `door`: a loopback port and a key that tells a friend from others who find the port. Over the connection
//! goes a ticket that only the process that asked can use, and that is only made for a process of the same user.

use super::word::{SENT_WITHIN, Word, wrong};
use crate::instance::token::random_key;
use leeward_windows::Ticket;
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
};

/// The line between the two processes. Reads and writes block for a second at most.
pub(in crate::instance) type Line = TcpStream;

/// Digits of the key: whoever knows them has them from the process that waits.
const KEY: usize = 64;

/// See the room.
#[derive(Debug)]
pub(in crate::instance) struct Door {
    listener: tokio::net::TcpListener,
    key: String,
    path: PathBuf,
}

impl Door {
    /// Opens one. Called within a runtime.
    pub(in crate::instance) fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let key = random_key()?;
        let path = format!("{}/{key}", listener.local_addr()?).into();
        Ok(Self { listener: tokio::net::TcpListener::from_std(listener)?, key, path })
    }

    /// Where others find it: `ADDRESS/KEY`.
    pub(in crate::instance) fn path(&self) -> &Path {
        &self.path
    }

    /// The next that comes with the key.
    pub(in crate::instance) async fn next(&self) -> io::Result<Line> {
        loop {
            let (line, _) = self.listener.accept().await?;
            let (line, key) = (line.into_std()?, self.key.clone());
            // It may say nothing, and the agent's signals do not wait for it.
            let greeted = tokio::task::spawn_blocking(move || greet(line, &key)).await;
            if let Some(line) = greeted.unwrap_or_else(|e| Err(io::Error::other(e)))? {
                return Ok(line);
            }
        }
    }
}

/// `None` for one that does not know the key.
fn greet(mut line: TcpStream, wanted: &str) -> io::Result<Option<TcpStream>> {
    line.set_nonblocking(false)?;
    line.set_read_timeout(Some(SENT_WITHIN))?;
    line.set_write_timeout(Some(SENT_WITHIN))?;
    let mut key = [0u8; KEY];
    Ok((line.read_exact(&mut key).is_ok() && key == wanted.as_bytes()).then_some(line))
}

/// Goes to a door.
pub(in crate::instance) fn knock(door: &Path) -> io::Result<Line> {
    let named = door.to_str().and_then(|door| door.split_once('/'));
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

/// Says a word, with the socket where one comes along.
pub(in crate::instance) fn send(line: &mut Line, word: Word, socket: Option<&TcpListener>) -> io::Result<()> {
    if socket.is_some() != word.brings_socket() {
        return Err(wrong("a word and its socket go together"));
    }
    line.write_all(&[word.byte()])?;
    socket.map_or(Ok(()), |socket| {
        let pid = receive_pid(line)?;
        line.write_all(&ticket(socket, pid)?)
    })
}

/// The next word, with the socket where one comes along.
pub(in crate::instance) fn receive(line: &mut Line) -> io::Result<(Word, Option<TcpListener>)> {
    let mut byte = [0u8];
    line.read_exact(&mut byte)?;
    let word = Word::of(byte[0])?;
    let socket = word.brings_socket().then(|| {
        send_pid(line)?;
        receive_ticket(line)
    });
    Ok((word, socket.transpose()?))
}

/// A ticket is for one process.
pub(in crate::instance) fn send_pid(line: &mut Line) -> io::Result<()> {
    line.write_all(&std::process::id().to_le_bytes())
}

/// See `send_pid`.
pub(in crate::instance) fn receive_pid(line: &mut Line) -> io::Result<u32> {
    let mut pid = [0u8; 4];
    line.read_exact(&mut pid)?;
    Ok(u32::from_le_bytes(pid))
}

/// A ticket for a process of this user, and for no other's, whatever it knows.
pub(in crate::instance) fn ticket(socket: &TcpListener, pid: u32) -> io::Result<Ticket> {
    // As long as its process is open, the number is no other one's.
    let user = leeward_windows::user_of(pid)?;
    if user.sid != leeward_windows::own_sid()? {
        let why = format!("the process there is of another user ({})", user.sid);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    leeward_windows::share(socket, pid)
}

/// The socket of the ticket that comes.
pub(in crate::instance) fn receive_ticket(line: &mut Line) -> io::Result<TcpListener> {
    let mut ticket: Ticket = [0; size_of::<Ticket>()];
    // A process with fewer rights than this one cannot give it anything.
    line.read_exact(&mut ticket)
        .map_err(|e| io::Error::new(io::ErrorKind::Unsupported, format!("it cannot pass its socket to this process ({e})")))?;
    leeward_windows::take(&ticket)
}
