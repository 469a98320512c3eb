//! Leewards of this user whose sockets the system does not show: `serve` hides its memory, and with it goes the list of its
//! descriptors. The kernel still names the socket's user, and the table of processes the command line.

use crate::socket_owner;
use rustix::process::geteuid;
use std::{fs, io, net::SocketAddr};

/// Processes that may be what listens, where this user listens at the address.
pub(super) fn hidden(address: SocketAddr) -> Vec<(u32, String)> {
    if !socket_owner::of_listener(address).is_own() {
        return Vec::new();
    }
    let own = geteuid().as_raw();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| serves(*pid, own)).map(|pid| (pid, "leeward".to_owned())).collect()
}

/// True of a Leeward of the user that cannot be looked into, where this user listens at the address.
pub(super) fn is_hidden_at(address: SocketAddr, pid: u32) -> bool {
    socket_owner::of_listener(address).is_own() && hides(pid, geteuid().as_raw())
}

/// A `leeward serve` of the user that cannot be looked into.
fn serves(pid: u32, user: u32) -> bool {
    hides(pid, user) && read(pid, "cmdline").split('\0').nth(1) == Some("serve")
}

/// A `leeward` of the user that cannot be looked into.
fn hides(pid: u32, user: u32) -> bool {
    let denied = fs::read_dir(format!("/proc/{pid}/fd")).is_err_and(|e| e.kind() == io::ErrorKind::PermissionDenied);
    let status = read(pid, "status");
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    let of_user = users.split_whitespace().nth(1).and_then(|effective| effective.parse().ok()) == Some(user);
    denied && of_user && read(pid, "comm").trim() == "leeward"
}

fn read(pid: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}
