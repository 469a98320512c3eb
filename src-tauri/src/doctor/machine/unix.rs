//! Unix half of `machine`.

use rustix::{
    fs::{Access, access, statvfs},
    process::{Resource, getrlimit},
};
use std::path::Path;

/// Whether this user may write there, by the system's word; nothing is written.
pub(super) fn may_write(folder: &Path) -> Result<bool, String> {
    use rustix::io::Errno;
    match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::ROFS | Errno::PERM | Errno::NOTDIR) => Ok(false),
        Err(e) => Err(e.to_string()),
    }
}

pub(super) fn free_bytes(folder: &Path) -> Result<u64, String> {
    let stat = statvfs(folder).map_err(|e| format!("the system did not say how much of the disk is free: {e}"))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The limit of files that a program started here may have open.
pub(super) fn open_files() -> Result<Option<u64>, String> {
    Ok(getrlimit(Resource::Nofile).current)
}

/// What a process has open, and may; only Linux says it of another one.
#[cfg(target_os = "linux")]
pub(super) fn open_by(pid: u64) -> Option<(u64, u64)> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let limit = line.split_whitespace().next()?.parse().ok()?;
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    Some((u64::try_from(open).ok()?, limit))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn open_by(_pid: u64) -> Option<(u64, u64)> {
    None
}
