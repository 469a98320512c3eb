//! Windows: the table of TCP sockets names the process, and the process's token its user. Changes nothing.

use super::{
    owner::Owner,
    sought::{Socket, Sought},
};
use leeward_windows::{User, own_sid, tcp_sockets, user_of};
use std::io;

pub(super) fn owner(sought: &Sought) -> Owner {
    own_sid().and_then(|own| judge(sought, &own)).unwrap_or_else(|e| Owner::Unknown(e.to_string()))
}

/// An address that is shared is ours only if nobody else shares it.
fn judge(sought: &Sought, own: &str) -> io::Result<Owner> {
    let mut owner = Owner::Nobody;
    for pid in processes(sought)? {
        // Of what no process has any more, and under Wine.
        if pid == 0 {
            return Err(io::Error::other("the system names no process that has the socket"));
        }
        let User { sid, process } = user_of(pid)?;
        // The number may be another process's by now. While its handle is open it is not given away.
        let still = processes(sought)?.contains(&pid);
        drop(process);
        match still {
            true if sid == own => owner = Owner::Own,
            true => return Ok(Owner::Other(Some(sid))),
            false => return Err(io::Error::other("the process that had the socket has ended")),
        }
    }
    Ok(owner)
}

fn processes(sought: &Sought) -> io::Result<Vec<u32>> {
    let sockets = tcp_sockets(matches!(sought, Sought::Listener(_)))?.into_iter();
    Ok(sought.best(sockets.map(|s| (Socket { local: s.local, remote: s.remote, listens: s.listens }, s.pid))))
}
