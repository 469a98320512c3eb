//! What keeps a folder or file from being believed. Data; `trust` finds and reports it.

/// What is wrong with a folder or file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distrust {
    /// It is another user's.
    #[cfg_attr(windows, allow(dead_code, reason = "an access list says enough there"))]
    Foreign {
        /// Whose.
        owner: u32,
    },
    /// Others can change what is in it.
    Writable,
}
