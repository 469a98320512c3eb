//! The record of who serves here: written by whoever serves, read by whoever looks for it. Proves nothing: its process may be gone.

use super::private::write_atomically;
use crate::{config::Paths, files, shortage::is_shortage};
use serde::{Deserialize, Serialize};
use std::{io, net::SocketAddr};

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

/// Writes the record whole: readers see the old one or the new one.
///
/// # Errors
/// When the state folder cannot be written.
pub fn write_record(paths: &Paths, record: &Record) -> io::Result<()> {
    write_atomically(&paths.instance_file(), &serde_json::to_vec_pretty(record)?)
}

/// What its user reads while the record cannot be written.
pub fn not_recorded(paths: &Paths, why: &io::Error) -> String {
    format!(
        "The state folder {} cannot be written ({why}), so `leeward wrap` and other commands do not find this Leeward. Agents that \
         know its address are served. Free some space or mend the folder's permissions.",
        paths.state_dir.display()
    )
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
    remove_any_record(paths);
}

/// Removes whatever record there is. For whoever knows that its process is gone, or that it is its own.
pub(super) fn remove_any_record(paths: &Paths) {
    if let Err(e) = std::fs::remove_file(paths.instance_file())
        && e.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("cannot remove {}: {e}", paths.instance_file().display());
    }
}

/// Whether the record stays: it is another process's, or nobody could look whose it is.
pub(super) fn keeps_record(read: Result<&[u8], &io::Error>, others: impl FnOnce(&[u8]) -> bool) -> bool {
    match read {
        Ok(bytes) => others(bytes),
        Err(e) => is_shortage(e),
    }
}
