//! Unix half of `listen`: what `accept`'s error codes call for.

use super::Kind;
use rustix::io::Errno;

pub(super) fn kind_of(code: i32) -> Kind {
    match Errno::from_raw_os_error(code) {
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => Kind::Resources,
        Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP => Kind::Socket,
        _ => Kind::Connection,
    }
}
