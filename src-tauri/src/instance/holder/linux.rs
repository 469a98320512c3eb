//! Leewards of this user whose sockets the system does not tell: `serve` hides its memory, and with it goes the list of its
//! descriptors. The kernel's table of sockets still names the user, and the table of processes the command line.

use rustix::process::geteuid;
use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The state of a socket that listens.
const LISTEN: &str = "0A";

/// Processes that may be what listens, where this user listens at an address that `covers` says is the one.
pub(super) fn hidden(covers: impl Fn(SocketAddr) -> bool) -> Vec<(u32, String)> {
    let own = geteuid().as_raw();
    let table = |name: &str| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    let tables = [table("tcp"), table("tcp6")];
    let ours = tables.iter().flat_map(|table| table.lines()).filter_map(listening).any(|(at, user)| user == own && covers(at));
    if !ours {
        return Vec::new();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| serves(*pid, own)).map(|pid| (pid, "leeward".to_owned())).collect()
}

/// A `leeward serve` of the user that cannot be looked into.
fn serves(pid: u32, user: u32) -> bool {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let denied = fs::read_dir(format!("/proc/{pid}/fd")).is_err_and(|e| e.kind() == io::ErrorKind::PermissionDenied);
    let status = read("status");
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    let of_user = users.split_whitespace().nth(1).and_then(|effective| effective.parse().ok()) == Some(user);
    denied && of_user && read("comm").trim() == "leeward" && read("cmdline").split('\0').nth(1) == Some("serve")
}

/// Where a line of the table listens, and for whom.
fn listening(line: &str) -> Option<(SocketAddr, u32)> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (local, state, user) = (fields.get(1)?, fields.get(3)?, fields.get(7)?);
    let (ip, port) = local.split_once(':')?;
    let words: Option<Vec<u8>> = (0..ip.len() / 8)
        .map(|n| Some(u32::from_str_radix(ip.get(8 * n..8 * n + 8)?, 16).ok()?.to_ne_bytes()))
        .collect::<Option<Vec<_>>>()
        .map(|words| words.concat());
    let bytes = words?;
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    let at = SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?);
    (*state == LISTEN).then_some((at, user.parse().ok()?))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::listening;

    #[test]
    fn the_kernels_table_is_read() {
        for (line, want) in [
            ("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", None),
            (
                "   0: 0100007F:2253 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 5 1 0 100 0 0 10 0",
                Some(("127.0.0.1:8787", 1000)),
            ),
            ("   1: 0100007F:2253 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 5", None),
            (
                "   2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 7",
                Some(("[::1]:80", 0)),
            ),
            ("", None),
        ] {
            let want = want.map(|(at, user)| (at.parse().unwrap(), user));
            assert_eq!(listening(line), want, "{line}");
        }
    }
}
