//! The kernel's table of TCP sockets (proc_net(5)): all of them, so it takes as long as there are many.

use super::held::Held;
use crate::socket_owner::sought::Socket;
use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The state of a socket that listens.
const LISTEN: &str = "0A";

/// Every TCP socket of this network namespace.
pub(super) fn read() -> io::Result<Vec<(Socket, Held)>> {
    let v4 = fs::read_to_string("/proc/net/tcp")?;
    let v6 = match fs::read_to_string("/proc/net/tcp6") {
        // A kernel without IPv6.
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        told => told?,
    };
    Ok(v4.lines().chain(v6.lines()).filter_map(parse).collect())
}

/// A line of the table; nothing for its heading.
fn parse(line: &str) -> Option<(Socket, Held)> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let [_, local, remote, state, _, _, _, user, _, inode, ..] = fields[..] else { return None };
    let socket = Socket { local: address(local)?, remote: address(remote)?, listens: state == LISTEN };
    Some((socket, Held { user: user.parse().ok()?, open: inode != "0" }))
}

/// Words of four bytes as the processor keeps them, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words: Option<Vec<[u8; 4]>> =
        (0..ip.len() / 8).map(|n| Some(u32::from_str_radix(ip.get(8 * n..8 * n + 8)?, 16).ok()?.to_ne_bytes())).collect();
    let bytes = words?.concat();
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket_owner::sought::Sought;
    use std::net::{TcpListener, TcpStream};

    #[cfg(target_endian = "little")]
    #[test]
    fn the_kernels_table_is_read() {
        let told = |local: &str, remote: &str, listens, user, open| {
            let socket = Socket { local: local.parse().unwrap(), remote: remote.parse().unwrap(), listens };
            Some((socket, Held { user, open }))
        };
        for (line, want) in [
            ("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", None),
            (
                "   0: 0100007F:2253 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 5 1 0 100 0 0 10 0",
                told("127.0.0.1:8787", "0.0.0.0:0", true, 1000, true),
            ),
            (
                "   1: 0100007F:2253 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 5 1 0 20 4 30 10 -1",
                told("127.0.0.1:8787", "127.0.0.1:40000", false, 1000, true),
            ),
            (
                "   2: 0100007F:9C40 0100007F:2253 06 00000000:00000000 03:0000176F 00000000     0        0 0 3 0",
                told("127.0.0.1:40000", "127.0.0.1:8787", false, 0, false),
            ),
            (
                "   3: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 7 1 0",
                told("[::1]:80", "[::]:0", true, 0, true),
            ),
            (
                "   4: 0000000000000000FFFF00000100007F:9C40 0000000000000000FFFF00000100007F:2253 01 0:0 00:0 0 33 0 7 1 0",
                told("[::ffff:127.0.0.1]:40000", "[::ffff:127.0.0.1]:8787", false, 33, true),
            ),
            ("   5: 0100007F:2253 00000000:0000 0A 00000000:00000000", None),
            ("   6: 0100:2253 00000000:0000 0A 0:0 00:0 0 0 0 7 1 0", None),
            ("   7: 0100007F:2253 00000000:0000 0A 0:0 00:0 0 -1 0 7 1 0", None),
            ("", None),
        ] {
            assert_eq!(parse(line), want, "{line}");
        }
    }

    /// Both ways to ask say the same of real sockets.
    #[test]
    fn the_table_and_the_single_question_agree() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let client = TcpStream::connect(at).unwrap();
        let peer = client.local_addr().unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for (sought, there) in [
            (Sought::listener(at), true),
            (Sought::connection(peer, at), true),
            (Sought::listener(gone), false),
            (Sought::connection(peer, gone), false),
        ] {
            let table = sought.best(read().unwrap());
            assert_eq!(table.len(), usize::from(there), "{sought:?}: {table:?}");
            match super::super::diag::ask(&sought) {
                Ok(asked) => assert!(asked.is_none() || asked == table.first().copied(), "{sought:?}: {asked:?}, {table:?}"),
                Err(e) => eprintln!("SKIP sock_diag: {e}"),
            }
        }
    }
}
