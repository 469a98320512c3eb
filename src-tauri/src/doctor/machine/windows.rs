//! Windows half of `machine`.

use std::path::Path;

/// The attribute alone does not say what the access list allows.
pub(super) fn may_write(folder: &Path) -> Result<bool, String> {
    let data = std::fs::metadata(folder).map_err(|e| e.to_string())?;
    Ok(data.is_dir())
}

pub(super) fn free_bytes(_folder: &Path) -> Result<u64, String> {
    Err("this version does not ask Windows how much of the disk is free".into())
}

/// Windows has no such limit.
pub(super) fn open_files() -> Result<Option<u64>, String> {
    Err("Windows has no limit of open files".into())
}

pub(super) fn open_by(_pid: u64) -> Option<(u64, u64)> {
    None
}
