//! Unix half of `listen`: `accept`'s error codes that mean more than one lost connection.

use rustix::io::Errno;

/// File descriptors or memory are short.
pub(super) const RESOURCES: [i32; 4] =
    [Errno::MFILE.raw_os_error(), Errno::NFILE.raw_os_error(), Errno::NOBUFS.raw_os_error(), Errno::NOMEM.raw_os_error()];

/// The socket may be gone.
pub(super) const SOCKET: [i32; 4] =
    [Errno::BADF.raw_os_error(), Errno::INVAL.raw_os_error(), Errno::NOTSOCK.raw_os_error(), Errno::OPNOTSUPP.raw_os_error()];
