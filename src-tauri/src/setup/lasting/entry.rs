//! What `lasting` can find, as every platform reports it.

/// What starts Leeward at login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// A unit, an agent of launchd or a task, by its place.
    Service(String),
    /// The tray's start at login, by its place.
    Tray(String),
}
