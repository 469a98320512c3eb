//! What is said through a door: one byte, and with some the listening socket. Says nothing itself.

use std::{io, time::Duration};

/// What was accepted has been sent already.
pub(in crate::instance) const SENT_WITHIN: Duration = Duration::from_secs(1);

/// Said by whoever comes, or the reply to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::instance) enum Word {
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
    pub(in crate::instance) const ALL: [Self; 6] = [Self::Hold, Self::Give, Self::Here, Self::None, Self::LetGo, Self::Done];

    pub(in crate::instance) fn byte(self) -> u8 {
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
    pub(super) fn brings_socket(self) -> bool {
        matches!(self, Self::Hold | Self::Here)
    }

    /// # Errors
    /// `InvalidData` for a byte that says nothing.
    pub(in crate::instance) fn of(byte: u8) -> io::Result<Self> {
        let word = Self::ALL.into_iter().find(|word| word.byte() == byte);
        word.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("the byte {byte} says nothing here")))
    }
}

/// Something came along that should not have, or did not.
pub(super) fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
