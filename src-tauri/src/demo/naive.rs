//! A listener with the bug that Leeward was born from: the first accept error closes the listening socket.
//!
//! It is here to be compared with. Nothing but the demo and its test may start it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

/// How long one client may take.
const CLIENT: Duration = Duration::from_secs(5);
/// Longest request it reads.
const REQUEST_BYTES: u64 = 64 * 1024;

/// The running listener; dropping it ends it.
#[derive(Debug)]
pub(super) struct Naive {
    address: SocketAddr,
    _task: JoinSet<()>,
}

impl Naive {
    /// Listens on a free loopback port and answers every request with 200.
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut task = JoinSet::new();
        task.spawn(serve(listener));
        Ok(Self { address, _task: task })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: TcpListener) {
    let mut clients = JoinSet::new();
    while let Ok(stream) = accept(&listener).await {
        while clients.try_join_next().is_some() {}
        clients.spawn(async move { drop(timeout(CLIENT, answer(stream)).await) });
    }
    // The bug: whatever the error was, the listener is closed. Its owner lives on and serves the clients it has, as the
    // proxy of the report did, which is why nobody notices.
    drop(listener);
    while clients.join_next().await.is_some() {}
}

/// The one synthetic step: Linux hides from `accept` that the peer has already reset the connection, Windows reports it, so
/// a pending `ECONNRESET` on the accepted socket counts as the accept error that Windows would have given.
async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    match stream.take_error()? {
        Some(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(stream),
    }
}

async fn answer(stream: TcpStream) -> io::Result<()> {
    let mut request = Vec::new();
    let mut stream = stream.take(REQUEST_BYTES);
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let mut stream = stream.into_inner();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await?;
    stream.shutdown().await
}
