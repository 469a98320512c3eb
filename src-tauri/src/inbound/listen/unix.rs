//! Unix half of `listen`: what `accept`'s error codes call for.

use super::Kind;
use rustix::io::Errno;

/// Compares plain numbers: `Errno::from_raw_os_error` panics on a code that the system does not know.
pub(super) fn kind_of(code: i32) -> Kind {
    const RESOURCES: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    const SOCKET: [Errno; 4] = [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP];
    let any = |list: [Errno; 4]| list.iter().any(|e| e.raw_os_error() == code);
    if any(RESOURCES) {
        Kind::Resources
    } else if any(SOCKET) {
        Kind::Socket
    } else {
        Kind::Connection
    }
}
