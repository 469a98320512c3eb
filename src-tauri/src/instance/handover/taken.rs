//! What the new process gets, and the byte by which the old one learns that it accepts. Passes no handle itself.

use crate::instance::{door::Line, lock::Lock};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpListener,
    time::Duration,
};

/// The byte that says "I accept".
const CONFIRMED: u8 = b'a';

/// What the new process gets.
#[derive(Debug)]
pub struct Taken {
    /// Where the old one listened: its very socket, with the same queue, or a new one where none can be passed.
    pub listener: TcpListener,
    /// The state folder's lock.
    pub lock: Lock,
    /// To be given once an engine accepts. `None`: the old one has closed its socket already.
    pub confirmation: Option<Confirmation>,
}

/// Notifies the old process that the new one accepts. Dropped without, the old one goes on as if nothing had happened.
#[derive(Debug)]
pub struct Confirmation(pub(in crate::instance) Line);

impl Confirmation {
    /// The old process may stop accepting.
    ///
    /// # Errors
    /// When it is gone, which matters to nobody any more.
    pub fn confirm(mut self) -> io::Result<()> {
        self.0.write_all(&[CONFIRMED])
    }
}

/// Waits on the line, which has `limit` for each read, for the byte that confirms; the line's end without it means that the
/// other has failed.
pub(super) fn confirmation(mut line: impl Read, limit: Duration) -> io::Result<()> {
    let mut byte = [0u8];
    match line.read_exact(&mut byte) {
        Ok(()) if byte == [CONFIRMED] => Ok(()),
        Ok(()) => Err(io::Error::other("the process that wanted it said something else")),
        // Windows ends a line with a reset where something was unread.
        Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted) => {
            Err(io::Error::other("the process that wanted it has ended"))
        }
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(io::Error::other(format!("the process that wanted it did not accept within {limit:?}")))
        }
        Err(e) => Err(e),
    }
}
