//! A door: where a process of the same user is waited for that brings or takes the listening socket. Who comes is of the same
//! user, as the system says, or is sent away; so is whoever waits behind a door that is not ours. Decides nothing.

#[cfg(unix)]
#[path = "door/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "door/windows.rs"]
mod platform;

pub(super) use platform::{Door, Line, knock, receive, send};
#[cfg(unix)]
pub(super) use platform::{receive_handles, send_handles};
#[cfg(windows)]
pub(super) use platform::{receive_pid, receive_ticket, send_pid, ticket};

use std::{io, time::Duration};

/// What was accepted has been sent already.
pub(super) const SENT_WITHIN: Duration = Duration::from_secs(1);

/// Said by whoever comes, or the answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A socket to be held, which comes along.
    Hold,
    /// Asks for the socket that is held.
    Give,
    /// The socket that was asked for, which comes along.
    Here,
    /// There is none.
    None,
    /// The socket is to be let go: Leeward is ended on purpose.
    LetGo,
    /// Done.
    Done,
}

impl Word {
    const ALL: [Self; 6] = [Self::Hold, Self::Give, Self::Here, Self::None, Self::LetGo, Self::Done];

    fn byte(self) -> u8 {
        match self {
            Self::Hold => b'h',
            Self::Give => b'g',
            Self::Here => b's',
            Self::None => b'n',
            Self::LetGo => b'r',
            Self::Done => b'd',
        }
    }

    /// Whether the socket comes along with it.
    fn brings_socket(self) -> bool {
        matches!(self, Self::Hold | Self::Here)
    }

    /// # Errors
    /// `InvalidData` for a byte that says nothing.
    fn of(byte: u8) -> io::Result<Self> {
        let word = Self::ALL.into_iter().find(|word| word.byte() == byte);
        word.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("the byte {byte} says nothing here")))
    }
}

/// Says that nothing came along, or something that should not have.
fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
