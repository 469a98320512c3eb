//! The kernel's answer about one socket, found as it finds the socket of a packet. Takes the same time however many there are.

use super::held::Held;
use crate::socket_owner::sought::{Socket, Sought};
use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP, TCP_LISTEN},
    inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags},
};
use netlink_sys::{SocketAddr as KernelAddr, protocols::NETLINK_SOCK_DIAG};
use rustix::io::Errno;
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// One answer without attributes has 88 bytes; with those that the kernel always gives, fewer than 1,000.
const BUFFER: usize = 4096;
/// INET_DIAG_NOCOOKIE.
const ANY_COOKIE: [u8; 8] = [0xff; 8];

/// `None` when there is no such socket, or the kernel has no answers about TCP: it says the same of both.
pub(super) fn ask(sought: &Sought) -> io::Result<Option<Held>> {
    let socket = netlink_sys::Socket::new(NETLINK_SOCK_DIAG)?;
    socket.connect(&KernelAddr::new(0, 0))?;
    // The kernel has answered when `send` returns.
    socket.set_non_blocking(true)?;
    socket.send(&question(sought), 0)?;
    let mut answer = Vec::with_capacity(BUFFER);
    socket.recv(&mut bytes::BufMut::limit(&mut answer, BUFFER), 0)?;
    let message = NetlinkMessage::<SockDiagMessage>::deserialize(&answer).map_err(io::Error::other)?;
    match message.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => Ok(held(sought, &response.header)),
        NetlinkPayload::Error(e) => match e.to_io() {
            e if Errno::from_io_error(&e) == Some(Errno::NOENT) => Ok(None),
            e => Err(e),
        },
        _ => Err(io::Error::other("the kernel's answer is none")),
    }
}

fn question(sought: &Sought) -> Vec<u8> {
    let (local, remote) = match *sought {
        Sought::Connection { local, remote } => (local, remote),
        Sought::Listener(at) if at.is_ipv4() => (at, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
        Sought::Listener(at) => (at, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
    };
    let request = InetRequest {
        family: if local.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: local.port(),
            destination_port: remote.port(),
            source_address: local.ip(),
            destination_address: remote.ip(),
            interface_id: 0,
            cookie: ANY_COOKIE,
        },
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(SockDiagMessage::InetRequest(request)));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// A connection that is not there is answered with the listener at its address.
fn held(sought: &Sought, told: &InetResponseHeader) -> Option<Held> {
    let SocketId { source_address, source_port, destination_address, destination_port, .. } = told.socket_id;
    let socket = Socket {
        local: SocketAddr::new(source_address, source_port),
        remote: SocketAddr::new(destination_address, destination_port),
        listens: told.state == TCP_LISTEN,
    };
    sought.best([(socket, Held { user: told.uid, open: told.inode != 0 })]).pop()
}
