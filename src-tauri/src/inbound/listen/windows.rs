//! Windows half of `listen`: what `accept`'s error codes call for (winsock error codes, winerror.h).

use super::Kind;

const ERROR_INVALID_HANDLE: i32 = 6;
const ERROR_NOT_ENOUGH_MEMORY: i32 = 8;
const ERROR_OUTOFMEMORY: i32 = 14;
const WSAEINVAL: i32 = 10_022;
const WSAEMFILE: i32 = 10_024;
const WSAENOTSOCK: i32 = 10_038;
const WSAEOPNOTSUPP: i32 = 10_045;
const WSAENOBUFS: i32 = 10_055;

pub(super) fn kind_of(code: i32) -> Kind {
    match code {
        ERROR_NOT_ENOUGH_MEMORY | ERROR_OUTOFMEMORY | WSAEMFILE | WSAENOBUFS => Kind::Resources,
        ERROR_INVALID_HANDLE | WSAEINVAL | WSAENOTSOCK | WSAEOPNOTSUPP => Kind::Socket,
        _ => Kind::Connection,
    }
}
