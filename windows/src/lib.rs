//! The few calls of Windows that no safe crate offers: private files, which file is open, resuming from sleep, a listening socket's
//! state, that socket for another process, whose a socket is, and what a program inherits.
//!
//! All unsafe code of the project is here, and nothing else: what is done with these calls is decided where they are used.
//! Empty on other systems.
#![cfg(windows)]

mod access;
mod identity;
mod inherit;
mod owner;
mod power;
mod socket;

pub use access::{access_list, create_dir, create_file, own_sid};
pub use identity::{FileId, file_id};
pub use inherit::keeping_standard_handles;
pub use owner::{TcpSocket, User, end_process, tcp_sockets, user_of};
pub use power::{Resumes, on_resume};
pub use socket::{Ticket, has_backlog, is_listening, share, take};

use std::{ffi::OsStr, io, os::windows::ffi::OsStrExt};

/// As Windows wants a name: UTF-16, ended by a zero.
fn wide(name: &OsStr) -> io::Result<Vec<u16>> {
    let mut wide: Vec<u16> = name.encode_wide().collect();
    if wide.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name with a zero in it"));
    }
    wide.push(0);
    Ok(wide)
}
