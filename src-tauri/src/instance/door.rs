//! A door: where a process of the same user is waited for that brings or takes the listening socket. Who comes is of the same
//! user, as the system says, or is sent away; so is whoever waits behind a door that is not ours. Decides nothing.

mod word;

#[cfg(unix)]
#[path = "door/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "door/windows.rs"]
mod platform;

pub(super) use platform::{Door, Line, knock, receive, send};
#[cfg(unix)]
pub(super) use platform::{receive_handles, send_handles};
#[cfg(windows)]
pub(super) use platform::{receive_pid, receive_ticket, send_pid, ticket};
#[cfg(windows)]
pub(super) use word::SENT_WITHIN;
pub(super) use word::Word;
