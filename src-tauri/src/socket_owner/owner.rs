//! What is said of a socket's owner. "Could not ask" is no answer, and is never taken for one.

/// Whose a socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The user's that this process runs as.
    Own,
    /// Another user's, with its name or number where the system tells it.
    Other(Option<String>),
    /// There is no such socket, or no process has it open any more. macOS tells only of the own user's sockets, so there it
    /// may also be another user's.
    Nobody,
    /// The system could not be asked, with the reason. It says nothing about the owner.
    Unknown(String),
}

impl Owner {
    /// True only when the system has said that it is our own user's.
    pub fn is_own(&self) -> bool {
        *self == Self::Own
    }
}
