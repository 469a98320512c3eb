//! A connection whose bytes are somebody else's: a tunnel or a WebSocket carries them and understands none. Pools and retries
//! nothing.

use super::{dial::Made, endpoint::Endpoint, socket::Socket, stream::Io};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Where a tunnel leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Without brackets.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
}

impl Target {
    /// As programs ask for a tunnel where they use https: the variables and `NO_PROXY` are asked as for it.
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint { tls: true, host: self.host.clone(), port: self.port }
    }

    /// True when it is on this machine: what is not reached there is not reached a moment later either.
    pub(crate) fn is_local(&self) -> bool {
        self.endpoint().is_local()
    }
}

/// Such a connection.
pub(crate) struct Blind {
    io: Io,
    socket: Socket,
}

impl std::fmt::Debug for Blind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blind").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

impl Blind {
    pub(super) fn new(io: Io, socket: Socket) -> Self {
        Self { io, socket }
    }

    pub(super) fn of(made: Made) -> Self {
        Self::new(made.io, made.socket)
    }

    /// The address that was reached: the target's, or a company proxy's.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.socket.peer()
    }

    /// Ends it with a reset.
    pub(crate) fn reset(self) {
        self.socket.reset_on_drop();
    }

    fn inner(&mut self) -> Pin<&mut (dyn Bytes + Send)> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream),
            Io::Tls(stream) => Pin::new(&mut **stream),
            Io::Nested(stream) => Pin::new(&mut **stream),
        }
    }
}

trait Bytes: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Bytes for T {}

impl AsyncRead for Blind {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_read(cx, buf)
    }
}

impl AsyncWrite for Blind {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }
}
