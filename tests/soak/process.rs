//! What this process holds: sockets, threads, memory. Where the system has no `/proc`, nothing is known and nothing judged.

use std::fs;

/// What is held at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Open sockets.
    pub sockets: usize,
    /// Other descriptors: files, event queues.
    pub files: usize,
    /// Threads of engine generations.
    pub generations: usize,
}

/// Looks; `None` without `/proc`.
pub fn held() -> Option<Held> {
    let mut held = Held { sockets: 0, files: 0, generations: 0 };
    for entry in fs::read_dir("/proc/self/fd").ok()?.flatten() {
        // The folder's own descriptor is gone when it is asked for.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        if target.to_string_lossy().starts_with("socket:") { held.sockets += 1 } else { held.files += 1 }
    }
    for entry in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        held.generations += usize::from(name.starts_with("leeward-gen"));
    }
    Some(held)
}

/// Resident memory in MiB.
pub fn resident_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}
