//! What Windows says of a listening socket, and that socket for another process: one writes a ticket that only the other can
//! use, and both listen.

use std::{
    io,
    mem::MaybeUninit,
    net::TcpListener,
    os::windows::io::{AsRawSocket, FromRawSocket, RawSocket},
};
use windows_sys::Win32::Networking::WinSock::{
    FROM_PROTOCOL_INFO, INVALID_SOCKET, POLLNVAL, POLLRDNORM, SO_ACCEPTCONN, SOCKET_ERROR, SOL_SOCKET,
    WSA_FLAG_NO_HANDLE_INHERIT, WSA_FLAG_OVERLAPPED, WSADuplicateSocketW, WSAPOLLFD, WSAPROTOCOL_INFOW, WSAPoll, WSASocketW,
    getsockopt,
};

/// How a process gets at a socket of another one. Of no use to any other process, and good for one use.
pub type Ticket = [u8; size_of::<WSAPROTOCOL_INFOW>()];

/// A ticket for the process `pid`. The socket stays open here, too; this end must live until the ticket has been used.
///
/// # Errors
/// What the system says; there is no such process, or it is another user's.
pub fn share(listener: &TcpListener, pid: u32) -> io::Result<Ticket> {
    let mut info = MaybeUninit::<WSAPROTOCOL_INFOW>::zeroed();
    // SAFETY: the socket is open, and there is space for what is written.
    let error = unsafe { WSADuplicateSocketW(raw(listener), pid, info.as_mut_ptr()) };
    if error == SOCKET_ERROR {
        return Err(io::Error::last_os_error());
    }
    let mut ticket: Ticket = [0; size_of::<WSAPROTOCOL_INFOW>()];
    // SAFETY: both are as long as the structure, which is plain data, whole since it was zeroed.
    unsafe { std::ptr::copy_nonoverlapping(info.as_ptr().cast::<u8>(), ticket.as_mut_ptr(), ticket.len()) };
    Ok(ticket)
}

/// The socket of a ticket that was made for this process.
///
/// # Errors
/// What the system says of a ticket that is none, is another process's, or has been used.
pub fn take(ticket: &Ticket) -> io::Result<TcpListener> {
    // Winsock must have been started in this process; the standard library does that before its first socket.
    drop(TcpListener::bind(("127.0.0.1", 0))?);
    let mut info = MaybeUninit::<WSAPROTOCOL_INFOW>::uninit();
    // SAFETY: both are as long as the structure.
    unsafe { std::ptr::copy_nonoverlapping(ticket.as_ptr(), info.as_mut_ptr().cast::<u8>(), ticket.len()) };
    let flags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
    // SAFETY: every byte of the structure is there; what they say is for the system to judge.
    let socket = unsafe { WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info.as_ptr(), 0, flags) };
    if socket == INVALID_SOCKET {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just given it to us alone.
    Ok(unsafe { TcpListener::from_raw_socket(socket as RawSocket) })
}

/// Whether it still listens.
///
/// # Errors
/// What the system says of what is no socket any more.
pub fn is_listening(listener: &TcpListener) -> io::Result<bool> {
    // The option may be answered from a record of the process's own, which outlives a handle that was closed behind its back;
    // this question goes to the system.
    if poll(listener)? & POLLNVAL != 0 {
        return Ok(false);
    }
    let (mut listens, mut length) = (0i32, size_of::<i32>() as i32);
    // SAFETY: the option is a BOOL, there is space for one, and the length says so.
    let error = unsafe { getsockopt(raw(listener), SOL_SOCKET, SO_ACCEPTCONN, (&raw mut listens).cast(), &raw mut length) };
    if error == SOCKET_ERROR { Err(io::Error::last_os_error()) } else { Ok(listens != 0) }
}

/// Whether connections wait to be accepted right now.
///
/// # Errors
/// What the system says of what is no socket any more.
pub fn has_backlog(listener: &TcpListener) -> io::Result<bool> {
    Ok(poll(listener)? & POLLRDNORM != 0)
}

/// What is to be said of it at this moment, of what was asked for and what always is.
fn poll(listener: &TcpListener) -> io::Result<i16> {
    let mut wanted = WSAPOLLFD { fd: raw(listener), events: POLLRDNORM, revents: 0 };
    // SAFETY: one structure, as the count says; a wait of no time.
    match unsafe { WSAPoll(&raw mut wanted, 1, 0) } {
        SOCKET_ERROR => Err(io::Error::last_os_error()),
        _ => Ok(wanted.revents),
    }
}

/// As wide as a pointer; the standard library keeps it in 64 bits.
fn raw(listener: &TcpListener) -> usize {
    listener.as_raw_socket() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        net::TcpStream,
        sync::{Mutex, PoisonError},
        time::{Duration, Instant},
    };

    /// A handle that was closed is given to the next socket of the process, which must not be another test's.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    #[test]
    fn the_system_tells_of_a_listener_and_of_who_waits_for_it() {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        assert!(is_listening(&listener).expect("told"));
        assert!(!has_backlog(&listener).expect("told"));
        let _waits = TcpStream::connect(address).expect("somebody listens");
        let end = Instant::now() + Duration::from_secs(10);
        while !has_backlog(&listener).expect("told") {
            assert!(Instant::now() < end, "somebody waits");
        }
        listener.accept().expect("who waited");
        assert!(!has_backlog(&listener).expect("told"), "nobody else does");
    }

    /// A handle that other code in the process, or another process, has closed.
    #[test]
    fn a_listener_that_was_closed_does_not_listen() {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        // SAFETY: the handle is closed once, here; what is left of it is only asked, and never dropped.
        drop(unsafe { TcpListener::from_raw_socket(listener.as_raw_socket()) });
        let gone = std::mem::ManuallyDrop::new(listener);
        assert!(!is_listening(&gone).unwrap_or(false));
        assert!(!has_backlog(&gone).unwrap_or(false));
    }

    #[test]
    fn two_handles_of_one_socket_accept() {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let first = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = first.local_addr().expect("its address");
        let ticket = share(&first, std::process::id()).expect("a ticket for ourselves");
        let second = take(&ticket).expect("the socket");
        assert_eq!(second.local_addr().expect("an address"), address);
        assert!(is_listening(&second).expect("told"));
        for listener in [&first, &second] {
            let mut client = TcpStream::connect(address).expect("somebody listens");
            let (mut accepted, _) = listener.accept().expect("a connection");
            accepted.write_all(b"hello").expect("sent");
            let mut said = [0; 5];
            client.read_exact(&mut said).expect("an answer");
        }
        drop(first);
        TcpStream::connect(address).expect("the second one goes on");
        assert!(take(&[0; size_of::<Ticket>()]).is_err(), "a ticket of zeros is none");
        assert!(share(&second, u32::MAX).is_err(), "there is no such process");
    }
}
