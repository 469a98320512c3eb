//! What Windows says of all TCP sockets, and of the user that a process runs as.

use crate::access::{own_sid, sid_of};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle},
};
use windows_sys::Win32::{
    Foundation::{ERROR_INSUFFICIENT_BUFFER, ERROR_SUCCESS},
    NetworkManagement::IpHelper::{
        GetExtendedTcpTable, MIB_TCP_STATE_LISTEN, MIB_TCP6ROW_OWNER_PID, MIB_TCPROW_OWNER_PID, TCP_TABLE_CLASS,
        TCP_TABLE_OWNER_PID_ALL, TCP_TABLE_OWNER_PID_LISTENER,
    },
    Networking::WinSock::{AF_INET, AF_INET6},
    System::Threading::{OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_TERMINATE, TerminateProcess},
};

/// A row of the table in words of 32 bits. Addresses and ports are in the network's order.
const V4: usize = size_of::<MIB_TCPROW_OWNER_PID>() / 4;
const V6: usize = size_of::<MIB_TCP6ROW_OWNER_PID>() / 4;

/// A TCP socket of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSocket {
    /// Its own address.
    pub local: SocketAddr,
    /// The other end's.
    pub remote: SocketAddr,
    /// Whether it listens.
    pub listens: bool,
    /// The process; 0 where none has it any more.
    pub pid: u32,
}

/// The user of a process.
#[derive(Debug)]
pub struct User {
    /// As a SID: `S-1-5-21-…`.
    pub sid: String,
    /// As long as it is open, the process's number is no other process's.
    pub process: OwnedHandle,
}

/// All TCP sockets of this machine, or those alone that listen, which are few.
///
/// # Errors
/// What the system says.
pub fn tcp_sockets(that_listen: bool) -> io::Result<Vec<TcpSocket>> {
    let class = if that_listen { TCP_TABLE_OWNER_PID_LISTENER } else { TCP_TABLE_OWNER_PID_ALL };
    let mut sockets: Vec<_> = rows::<V4>(AF_INET, class)?.iter().map(v4).collect();
    sockets.extend(rows::<V6>(AF_INET6, class)?.iter().map(v6));
    Ok(sockets)
}

/// The user that the process `pid` runs as.
///
/// # Errors
/// What the system says; there is no such process, or it must not be asked.
pub fn user_of(pid: u32) -> io::Result<User> {
    // SAFETY: the call takes no pointer.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just opened it for us alone.
    let process = unsafe { OwnedHandle::from_raw_handle(process) };
    // SAFETY: it is a process's, and open.
    let sid = unsafe { sid_of(process.as_raw_handle()) }?;
    Ok(User { sid, process })
}

/// Ends the process `pid` at once, if it is of our own user.
///
/// # Errors
/// What the system says; `PermissionDenied` for another user's process.
pub fn end_process(pid: u32) -> io::Result<()> {
    // As long as its process is open, the number is no other one's.
    let user = user_of(pid)?;
    if user.sid != own_sid()? {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("process {pid} is of another user ({})", user.sid)));
    }
    // SAFETY: the call takes no pointer.
    let process = unsafe { OpenProcess(PROCESS_TERMINATE, 0, pid) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just opened it for us alone.
    let process = unsafe { OwnedHandle::from_raw_handle(process) };
    // SAFETY: it is a process's, open, and may be ended by this handle.
    if unsafe { TerminateProcess(process.as_raw_handle(), 1) } == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The rows of one family's table: a word that counts them, then they.
fn rows<const WORDS: usize>(family: u16, class: TCP_TABLE_CLASS) -> io::Result<Vec<[u32; WORDS]>> {
    /// It grows between the two calls.
    const ATTEMPTS: usize = 8;
    let mut table: Vec<u32> = Vec::new();
    for _ in 0..ATTEMPTS {
        let mut size = u32::try_from(size_of_val(table.as_slice())).unwrap_or(u32::MAX);
        // SAFETY: the space is as long as the call is given, and aligned for a table of words; no space is needed for a size of 0.
        let error = unsafe { GetExtendedTcpTable(table.as_mut_ptr().cast(), &raw mut size, 0, u32::from(family), class, 0) };
        match error {
            ERROR_SUCCESS => {
                let (count, rows) = table.split_first().unwrap_or((&0, &[]));
                let whole = rows.as_chunks::<WORDS>().0;
                return Ok(whole.iter().take(*count as usize).copied().collect());
            }
            // Some more than it says, for what comes meanwhile.
            ERROR_INSUFFICIENT_BUFFER => table = vec![0; size as usize / 4 + 64 * WORDS],
            error => return Err(io::Error::from_raw_os_error(error.cast_signed())),
        }
    }
    Err(io::Error::other("the table of sockets grows all the time"))
}

fn v4(&[state, local, local_port, remote, remote_port, pid]: &[u32; V4]) -> TcpSocket {
    let address = |ip: u32, at: u32| SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip.to_ne_bytes())), port(at));
    TcpSocket {
        local: address(local, local_port),
        remote: address(remote, remote_port),
        listens: state == MIB_TCP_STATE_LISTEN.cast_unsigned(),
        pid,
    }
}

fn v6(&[l0, l1, l2, l3, _, local_port, r0, r1, r2, r3, _, remote_port, state, pid]: &[u32; V6]) -> TcpSocket {
    let address = |words: [u32; 4], at: u32| {
        let mut ip = [0; 16];
        for (bytes, word) in ip.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *bytes = word.to_ne_bytes();
        }
        SocketAddr::new(IpAddr::V6(Ipv6Addr::from(ip)), port(at))
    };
    TcpSocket {
        local: address([l0, l1, l2, l3], local_port),
        remote: address([r0, r1, r2, r3], remote_port),
        listens: state == MIB_TCP_STATE_LISTEN.cast_unsigned(),
        pid,
    }
}

/// The first two bytes of a word.
fn port(word: u32) -> u16 {
    let [high, low, ..] = word.to_ne_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const LOOPBACK: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

    #[test]
    fn a_listener_is_in_the_table() {
        for at in LOOPBACK {
            let listener = TcpListener::bind(at).expect("a port");
            let address = listener.local_addr().expect("its address");
            let sockets = tcp_sockets(true).expect("a table");
            let there = sockets.iter().filter(|s| s.listens && s.local == address);
            assert_eq!(there.count(), 1, "{at}: {sockets:?}");
        }
    }

    #[test]
    fn both_ends_of_a_connection_are_in_the_table() {
        for at in LOOPBACK {
            let listener = TcpListener::bind(at).expect("a port");
            let address = listener.local_addr().expect("its address");
            let client = TcpStream::connect(address).expect("somebody listens");
            let peer = client.local_addr().expect("its address");
            let sockets = tcp_sockets(false).expect("a table");
            let has = |local, remote| sockets.iter().any(|s| !s.listens && s.local == local && s.remote == remote);
            assert!(has(peer, address) && has(address, peer), "{at}: {sockets:?}");
            assert!(sockets.iter().any(|s| s.listens && s.local == address), "{at}: {sockets:?}");
        }
    }

    #[test]
    fn a_process_of_ours_is_ended() {
        let mut child =
            std::process::Command::new("cmd").args(["/c", "pause"]).stdin(std::process::Stdio::piped()).spawn().expect("cmd");
        end_process(child.id()).expect("ended");
        assert_eq!(child.wait().expect("its end").code(), Some(1));
        assert!(end_process(u32::MAX - 3).is_err(), "there is no such process");
    }

    #[test]
    fn our_own_process_is_our_users() {
        let own = own_sid().expect("a user");
        assert_eq!(user_of(std::process::id()).expect("a process").sid, own);
        assert!(user_of(u32::MAX - 3).is_err(), "there is no such process");
    }
}
