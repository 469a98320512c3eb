//! Unix half of `notify`: one datagram for each thing that is said. It never waits.

use std::{
    io,
    os::unix::net::{SocketAddr, UnixDatagram},
};

pub(super) fn send(to: &str, text: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    let sent = socket.send_to_addr(text.as_bytes(), &address(to)?)?;
    if sent == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// A name that begins with `@` has no file.
fn address(to: &str) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = to.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(to)
}
