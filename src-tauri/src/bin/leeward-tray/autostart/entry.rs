//! What the system's place for start at login holds, as every platform reads it.

/// The argument of a start at login.
pub(super) const HIDDEN: &str = "--hidden";

/// What stands in the system's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Nothing.
    Absent,
    /// This program is started.
    Starts(String),
    /// It is there, and the system's own settings keep it from being started.
    SwitchedOff,
}
