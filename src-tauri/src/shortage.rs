//! Errors that say that the system was short of something: descriptors, memory, threads, ports. Whoever gets one could not
//! ask, and knows as little as before. Asks nothing itself, and says nothing about what the shortage means.

use std::io;

#[cfg(unix)]
mod codes {
    use rustix::io::Errno;

    /// What opening, duplicating, polling and starting a thread give. `AGAIN`: no thread, or no room for what `poll` needs;
    /// `NOSPC`: epoll's limit of watches.
    pub(super) const SHORT: &[i32] = &[
        Errno::MFILE.raw_os_error(),
        Errno::NFILE.raw_os_error(),
        Errno::NOMEM.raw_os_error(),
        Errno::NOBUFS.raw_os_error(),
        Errno::AGAIN.raw_os_error(),
        Errno::NOSPC.raw_os_error(),
    ];
    /// A connection finds no free port of its own.
    pub(super) const NO_PORT: &[i32] = &[Errno::ADDRNOTAVAIL.raw_os_error()];
}

#[cfg(windows)]
mod codes {
    /// ERROR_TOO_MANY_OPEN_FILES, ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, ERROR_MAX_THRDS_REACHED,
    /// ERROR_NO_SYSTEM_RESOURCES, ERROR_NONPAGED_SYSTEM_RESOURCES, ERROR_PAGED_SYSTEM_RESOURCES, ERROR_WORKING_SET_QUOTA,
    /// ERROR_PAGEFILE_QUOTA, ERROR_COMMITMENT_LIMIT, ERROR_NOT_ENOUGH_QUOTA, WSAEMFILE, WSAENOBUFS.
    pub(super) const SHORT: &[i32] = &[4, 8, 14, 164, 1450, 1451, 1452, 1453, 1454, 1455, 1816, 10_024, 10_055];
    /// WSAEADDRINUSE and WSAEADDRNOTAVAIL: a connection finds no free port of its own.
    pub(super) const NO_PORT: &[i32] = &[10_048, 10_049];
}

/// True when the system had no descriptor, memory or thread to ask with.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory || error.raw_os_error().is_some_and(|code| codes::SHORT.contains(&code))
}

/// The same for an error of `connect`, which also needs a port of its own.
pub(crate) fn is_shortage_of_connect(error: &io::Error) -> bool {
    is_shortage(error) || error.raw_os_error().is_some_and(|code| codes::NO_PORT.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code; whether it is a shortage; whether it is one of `connect`.
    #[cfg(unix)]
    fn rows() -> Vec<(i32, bool, bool)> {
        use rustix::io::Errno;
        let rows = [
            (Errno::MFILE, true, true),
            (Errno::NFILE, true, true),
            (Errno::NOMEM, true, true),
            (Errno::NOBUFS, true, true),
            (Errno::AGAIN, true, true),
            (Errno::NOSPC, true, true),
            (Errno::ADDRNOTAVAIL, false, true),
            (Errno::ADDRINUSE, false, false),
            (Errno::CONNREFUSED, false, false),
            (Errno::CONNRESET, false, false),
            (Errno::TIMEDOUT, false, false),
            (Errno::NETUNREACH, false, false),
            (Errno::BADF, false, false),
            (Errno::INVAL, false, false),
            (Errno::NOTSOCK, false, false),
            (Errno::NOENT, false, false),
            (Errno::ACCESS, false, false),
            (Errno::PERM, false, false),
        ];
        rows.map(|(errno, any, connect)| (errno.raw_os_error(), any, connect)).to_vec()
    }

    /// As above, with the numbers of winerror.h and winsock2.h.
    #[cfg(windows)]
    fn rows() -> Vec<(i32, bool, bool)> {
        let short = [4, 8, 14, 164, 1450, 1451, 1452, 1453, 1454, 1455, 1816, 10_024, 10_055].map(|code| (code, true, true));
        let ports = [10_048, 10_049].map(|code| (code, false, true));
        // Not found, denied, invalid handle, sharing violation; no socket, invalid, unreachable, reset, timed out, refused.
        let other = [2, 5, 6, 32, 10_038, 10_022, 10_051, 10_054, 10_060, 10_061].map(|code| (code, false, false));
        [&short[..], &ports[..], &other[..]].concat()
    }

    #[test]
    fn a_shortage_is_told_from_an_answer_by_the_code_alone() {
        for (code, any, connect) in rows() {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!((is_shortage(&error), is_shortage_of_connect(&error)), (any, connect), "{error}");
        }
    }

    #[test]
    fn an_error_without_a_code_is_an_answer_unless_it_names_memory() {
        assert!(is_shortage(&io::Error::from(io::ErrorKind::OutOfMemory)));
        for kind in [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused, io::ErrorKind::Other, io::ErrorKind::TimedOut] {
            assert!(!is_shortage_of_connect(&io::Error::from(kind)), "{kind:?}");
        }
    }
}
