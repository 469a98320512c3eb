//! Which Leeward serves here: a lock that dies with its process, a record of the address, the control token.
//!
//! Also names whoever holds a port. Starts and stops nothing.

mod client;
mod handover;
mod holder;
mod takeover;
mod token;

#[cfg(unix)]
#[path = "instance/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "instance/windows.rs"]
mod platform;

pub use client::{CLIENT_TOKEN_HEADER, Client, ClientError};
pub use handover::{Confirmation, Taken, hand_over};
pub use holder::{Holder, holder_of, is_held_by};
pub use takeover::{TakeOver, TakeOverError, take_over};
pub use token::{TokenError, read_or_create_token, read_token};

use crate::{config::Paths, files, shortage::is_shortage};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, TryLockError},
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// Who serves, as written for `wrap`, the CLI and the tray.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The serving process.
    pub pid: u32,
    /// Where it accepts.
    pub address: SocketAddr,
    /// Its version.
    pub version: String,
    /// When it started, in milliseconds since 1970.
    pub started_unix_ms: u64,
}

/// Held by the one process that serves from a state folder. The system releases it however the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Why the lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another Leeward serves from this state folder.
    #[error("another Leeward is already serving{}", .0.as_ref().map_or(String::new(), |r| format!(" on {} (pid {}, version {})", r.address, r.pid, r.version)))]
    Held(Option<Record>),
    /// The state folder cannot be written.
    #[error("cannot write to the state folder {}: {why}; check its permissions, or set LEEWARD_HOME", path.display())]
    Unwritable {
        /// The folder.
        path: std::path::PathBuf,
        /// The system's reason.
        why: io::Error,
    },
}

impl Lock {
    /// Takes the lock, creating the state folder (readable by the user alone) if need be.
    ///
    /// # Errors
    /// `Held` when another process has it, `Unwritable` when the folder cannot be used.
    pub fn acquire(paths: &Paths) -> Result<Self, LockError> {
        let unwritable = |why| LockError::Unwritable { path: paths.state_dir.clone(), why };
        platform::create_private_dir(&paths.state_dir).map_err(unwritable)?;
        let file = File::options().create(true).truncate(false).write(true).open(paths.lock_file()).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(read_record(paths))),
            Err(TryLockError::Error(why)) => Err(unwritable(why)),
        }
    }

    /// Another handle of the same lock: it is held until the last one is gone.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()? })
    }
}

/// Writes the record whole: readers see the old one or the new one.
///
/// # Errors
/// When the state folder cannot be written.
pub fn write_record(paths: &Paths, record: &Record) -> io::Result<()> {
    write_atomically(&paths.instance_file(), &serde_json::to_vec_pretty(record)?)
}

/// The record, if there is a readable one. The process it names may be gone: ask it, or the lock.
pub fn read_record(paths: &Paths) -> Option<Record> {
    serde_json::from_slice(&files::read(&paths.instance_file()).ok()?).ok()
}

/// Removes this process's record at a clean end; one of another process, which has taken over, stays.
pub fn remove_record(paths: &Paths) {
    let record = files::read(&paths.instance_file());
    let others = |bytes: &[u8]| serde_json::from_slice(bytes).is_ok_and(|record: Record| record.pid != std::process::id());
    if keeps_record(record.as_deref(), others) {
        return;
    }
    if let Err(e) = std::fs::remove_file(paths.instance_file())
        && e.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("cannot remove {}: {e}", paths.instance_file().display());
    }
}

/// Whether the record stays: it is another process's, or nobody could look whose it is.
fn keeps_record(read: Result<&[u8], &io::Error>, others: impl FnOnce(&[u8]) -> bool) -> bool {
    match read {
        Ok(bytes) => others(bytes),
        Err(e) => is_shortage(e),
    }
}

/// A listener on the unspecified address is reached over loopback.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Write beside, flush to disk, rename over: never half a file.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let result = (|| {
        let mut file = platform::create_private_file(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        files::replace(&beside, path)
    })();
    if result.is_err() {
        // The temporary file is ours alone; if it cannot be removed either, the first error says more.
        std::fs::remove_file(&beside).ok();
    }
    result
}

#[cfg(test)]
mod tests;
