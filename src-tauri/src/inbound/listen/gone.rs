//! Letting go of a listening socket that is gone. Other code has closed it, perhaps, and the system has given its number to
//! somebody else since: who closes that number then closes a stranger's file.

use socket2::SockRef;
use std::net::SocketAddr;

#[cfg(unix)]
use std::os::fd::AsFd as AsHandle;
#[cfg(windows)]
use std::os::windows::io::AsSocket as AsHandle;

/// Closes the socket if its number is still its own, and otherwise leaves the number to whoever has it now.
pub fn let_go(socket: impl AsHandle, address: SocketAddr) {
    if is_ours(&SockRef::from(&socket), address) {
        drop(socket);
    } else {
        std::mem::forget(socket);
    }
}

/// A listener has the address and no peer. Two of them would look alike, which is why it is let go of before the next is bound.
fn is_ours(socket: &SockRef<'_>, address: SocketAddr) -> bool {
    socket.local_addr().is_ok_and(|own| own.as_socket() == Some(address)) && socket.peer_addr().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_listener_is_closed_and_a_connection_of_the_same_address_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        // As if the accepted connection had got the number of a listener that was closed.
        let stranger = accepted.try_clone().unwrap();
        let_go(accepted, address);
        let_go(listener, address);
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
        drop(stranger);
        client.set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
        let end = std::io::Read::read(&mut client, &mut [0]);
        assert!(end.is_err(), "the connection is still open where it was let go of: {end:?}");
    }

    #[test]
    fn a_socket_of_another_address_is_left_alone() {
        let [first, other] = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let (ours, theirs) = (first.local_addr().unwrap(), other.local_addr().unwrap());
        let_go(other, ours);
        TcpStream::connect(theirs).expect("it listens on");
    }
}
