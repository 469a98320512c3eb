//! A company's proxy before the upstream: whatever host a CONNECT names, it leads to one address. So clients can ask for names
//! that are somebody else's on the Internet, and port 443, without a name server and without rights.
//!
//! It carries bytes and passes resets on as resets; faults are the upstream's business.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Longest head of a CONNECT.
const HEAD: usize = 16 * 1024;

/// A running one. Dropping it ends its tasks and closes its sockets.
#[derive(Debug)]
pub struct Forward {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Forward {
    /// Starts it on a free loopback port; it must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn leading_to(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => _ = connections.spawn(async move { serve(stream, target).await }),
                        // One connection is lost, or descriptors are short for a moment.
                        Err(_) => tokio::task::yield_now().await,
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self { address, _tasks: tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(mut near: TcpStream, target: SocketAddr) {
    let Ok(mut far) = open(&mut near, target).await else { return };
    if copy_bidirectional(&mut near, &mut far).await.is_err() {
        // Whichever end was reset, the other one is too. One that is gone needs none.
        near.set_zero_linger().ok();
        far.set_zero_linger().ok();
    }
}

/// Answers the CONNECT once the target is there.
async fn open(near: &mut TcpStream, target: SocketAddr) -> io::Result<TcpStream> {
    near.set_nodelay(true)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD || near.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    if !head.starts_with(b"CONNECT ") {
        near.write_all(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let far = TcpStream::connect(target).await?;
    far.set_nodelay(true)?;
    near.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?;
    Ok(far)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fault, Plan, Upstream};

    async fn ask(plan: Plan, method: &str) -> io::Result<String> {
        let upstream = Upstream::plain(plan)?;
        let forward = Forward::leading_to(upstream.address()).await?;
        let mut stream = TcpStream::connect(forward.address()).await?;
        stream.write_all(format!("{method} api.nobody.example:443 HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await?;
        let mut answer = vec![0; 39];
        stream.read_exact(&mut answer).await?;
        if answer.starts_with(b"HTTP/1.1 200") {
            stream.write_all(b"GET /api/hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
        }
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    #[tokio::test]
    async fn a_connect_leads_to_the_upstream_whatever_it_names_and_resets_come_through() {
        let answer = ask(Plan::none(), "CONNECT").await.unwrap();
        assert!(answer.contains("hello"), "{answer}");
        for fault in [Fault::ResetAtAccept, Fault::ResetInTls, Fault::ResetBeforeHeaders] {
            let failed = ask(Plan::always(fault.clone()), "CONNECT").await.unwrap_err();
            assert_eq!(failed.kind(), io::ErrorKind::ConnectionReset, "{fault:?}");
        }
        assert!(ask(Plan::none(), "GET").await.unwrap().starts_with("HTTP/1.1 405 "));
    }
}
