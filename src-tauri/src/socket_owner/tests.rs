//! Real sockets, of this user and of another one.

use super::*;
use std::net::{TcpListener, TcpStream};

/// A listener, and an address at which it is reached.
fn listener(at: &str) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(at)?;
    let mut address = listener.local_addr()?;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    Ok((listener, address))
}

fn of_our_listener(at: &str) -> std::io::Result<Owner> {
    let (_listener, address) = listener(at)?;
    Ok(of_listener(address))
}

fn of_our_connection(at: &str) -> std::io::Result<Owner> {
    let (listener, address) = listener(at)?;
    let _client = TcpStream::connect(address)?;
    let (accepted, peer) = listener.accept()?;
    Ok(of_connection(accepted.local_addr()?, peer))
}

/// As root, macOS tells of everybody's.
fn is_told() -> bool {
    #[cfg(target_os = "macos")]
    return !rustix::process::geteuid().is_root();
    #[cfg(not(target_os = "macos"))]
    true
}

fn is_own_everywhere(told: fn(&str) -> std::io::Result<Owner>) {
    if !is_told() {
        eprintln!("SKIP: this system does not tell us whose a socket is");
        return;
    }
    for at in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"] {
        match told(at) {
            Ok(told) => assert_eq!(told, Owner::Own, "{at}"),
            Err(e) => assert!(at.starts_with('['), "only IPv6 may be missing: {at}: {e}"),
        }
    }
}

#[test]
fn our_own_listener_is_own() {
    is_own_everywhere(of_our_listener);
}

/// Whoever asks who serves there takes that for an answer.
#[test]
fn a_listener_that_is_there_is_never_said_to_be_nobodys() {
    let told = of_our_listener("127.0.0.1:0").unwrap();
    assert!(matches!(told, Owner::Own | Owner::Unknown(_)), "{told:?}");
}

#[test]
fn our_own_connection_is_own() {
    is_own_everywhere(of_our_connection);
}

#[test]
fn a_socket_that_is_not_there_is_nobodys() {
    if !is_told() {
        eprintln!("SKIP: this system does not tell us whose a socket is");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).unwrap();
    let (accepted, peer) = listener.accept().unwrap();
    let local = accepted.local_addr().unwrap();
    // Left to the kernel: it keeps the connection, and no process has it.
    drop(client);
    assert!(!of_connection(local, peer).is_own());
    drop(accepted);
    drop(listener);
    assert!(!of_listener(address).is_own());
}

#[cfg(target_os = "linux")]
#[test]
fn another_users_listener_and_connection_are_the_others() {
    use std::{
        io::{BufRead, BufReader, Read, Write},
        os::unix::process::CommandExt,
        process::{Command, Stdio},
    };
    const STRANGER: u32 = 65_533;
    const SCRIPT: &str = "import socket, sys
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()";
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIP: only root can be another user, too");
        return;
    }
    let ours = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stranger = Command::new("python3");
    stranger.args(["-I", "-c", SCRIPT]).arg(ours.local_addr().unwrap().port().to_string());
    let mut stranger = match stranger.uid(STRANGER).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(e) => {
            eprintln!("SKIP: python3: {e}");
            return;
        }
    };
    let mut port = String::new();
    BufReader::new(stranger.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let (mut accepted, peer) = ours.accept().unwrap();
    let other = Owner::Other(Some(format!("user {STRANGER}")));
    let theirs = SocketAddr::from(([127, 0, 0, 1], port.trim().parse().unwrap()));
    assert_eq!(of_listener(theirs), other);
    assert_eq!(of_connection(accepted.local_addr().unwrap(), peer), other);
    drop(stranger.stdin.take());
    accepted.write_all(b"done").unwrap();
    assert!(accepted.read(&mut [0; 1]).is_ok_and(|read| read == 0) || stranger.wait().is_ok());
    stranger.wait().unwrap();
}
