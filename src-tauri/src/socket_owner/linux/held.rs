//! What the kernel says of a socket, however it was asked.

/// A user that the kernel names, and whether a process has the socket open: of one that is left to the kernel it names root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) user: u32,
    pub(super) open: bool,
}
