//! What an error of `accept` calls for. Not which errors are harmless: all of them are survived.

use super::platform;
use std::io;

/// How long an accept error keeps the loop from trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One connection is lost: on at once.
    Connection,
    /// File descriptors or memory are short: a pause lets others finish.
    Resources,
    /// The socket may be gone: the supervisor looks.
    Socket,
}

impl Kind {
    /// From the system's code alone; texts differ by language and platform.
    pub fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(code) if platform::RESOURCES.contains(&code) => Self::Resources,
            Some(code) if platform::SOCKET.contains(&code) => Self::Socket,
            Some(_) | None => Self::Connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_errors_cost_one_connection() {
        for error in
            [io::Error::other("no code"), io::Error::from(io::ErrorKind::InvalidInput), io::Error::from_raw_os_error(987_654)]
        {
            assert_eq!(Kind::of(&error), Kind::Connection, "{error:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn codes_are_told_apart() {
        use rustix::io::Errno;
        for (errno, kind) in [
            (Errno::CONNABORTED, Kind::Connection),
            (Errno::CONNRESET, Kind::Connection),
            (Errno::PROTO, Kind::Connection),
            (Errno::PERM, Kind::Connection),
            (Errno::MFILE, Kind::Resources),
            (Errno::NFILE, Kind::Resources),
            (Errno::NOBUFS, Kind::Resources),
            (Errno::NOMEM, Kind::Resources),
            (Errno::BADF, Kind::Socket),
            (Errno::INVAL, Kind::Socket),
            (Errno::NOTSOCK, Kind::Socket),
        ] {
            assert_eq!(Kind::of(&io::Error::from_raw_os_error(errno.raw_os_error())), kind, "{errno}");
        }
    }
}
