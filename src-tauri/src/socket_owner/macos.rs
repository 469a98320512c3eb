//! macOS tells a user which sockets its own processes have, and nothing of other users' sockets: what it tells of is ours.

use super::{owner::Owner, sought::Sought};
use listeners::{Protocol, SocketState};
use rustix::process::geteuid;
use std::net::SocketAddr;

/// One of the own sockets that is listed. Its other end is not; a local address belongs to one socket, unless every
/// program that shares it has agreed.
struct Told {
    local: SocketAddr,
    listens: bool,
}

pub(super) fn owner(sought: &Sought) -> Owner {
    if geteuid().is_root() {
        return Owner::Unknown("macOS tells root of all sockets without their owners".to_owned());
    }
    match listeners::get_all() {
        Ok(all) => {
            let tcp = all.iter().filter(|told| told.protocol == Protocol::TCP);
            judge(sought, tcp.map(|told| Told { local: told.socket, listens: told.state == SocketState::Listen }).collect())
        }
        Err(e) => Owner::Unknown(e.to_string()),
    }
}

/// The accepted end of a connection is our own, so a list without it is not whole.
fn judge(sought: &Sought, told: Vec<Told>) -> Owner {
    use super::sought::Socket;
    let unspecified = SocketAddr::from(([0; 4], 0));
    let (local, remote) = match *sought {
        Sought::Connection { local, remote } => (local, remote),
        Sought::Listener(at) => (at, unspecified),
    };
    let has = |sought: &Sought, remote: SocketAddr| {
        let sockets = told.iter().map(|told| {
            let remote = if told.listens { unspecified } else { remote };
            (Socket { local: told.local, remote, listens: told.listens }, ())
        });
        !sought.best(sockets).is_empty()
    };
    match sought {
        _ if has(sought, remote) => Owner::Own,
        Sought::Connection { .. } if !has(&Sought::connection(remote, local), local) => {
            Owner::Unknown("macOS does not tell of our own end".to_owned())
        }
        _ => Owner::Nobody,
    }
}
