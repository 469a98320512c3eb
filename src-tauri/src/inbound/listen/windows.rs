//! Windows half of `listen`: `accept`'s error codes that mean more than one lost connection (winsock error codes, winerror.h).

const ERROR_INVALID_HANDLE: i32 = 6;
const ERROR_NOT_ENOUGH_MEMORY: i32 = 8;
const ERROR_OUTOFMEMORY: i32 = 14;
const WSAEINVAL: i32 = 10_022;
const WSAEMFILE: i32 = 10_024;
const WSAENOTSOCK: i32 = 10_038;
const WSAEOPNOTSUPP: i32 = 10_045;
const WSAENOBUFS: i32 = 10_055;

/// File descriptors or memory are short.
pub(super) const RESOURCES: [i32; 4] = [ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, WSAEMFILE, WSAENOBUFS];

/// The socket may be gone.
pub(super) const SOCKET: [i32; 4] = [ERROR_INVALID_HANDLE, WSAEINVAL, WSAENOTSOCK, WSAEOPNOTSUPP];
