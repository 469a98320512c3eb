//! Descriptors that the runtime watches. Reads nothing from them.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};
use tokio::io::unix::AsyncFd;

/// Makes the runtime report when `source` can be read.
#[expect(
    deprecated,
    reason = "its successor is unsafe for the sake of descriptors that are not the source's own; `AsFd` says they are"
)]
pub(super) fn registered<T: AsFd + AsRawFd>(source: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::new(source)
}
