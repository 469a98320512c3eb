//! A client's bytes: its socket's, or what TLS within a tunnel carries. Knows neither requests nor certificates.

use bytes::{Buf, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// A client's connection.
pub(super) enum ClientStream {
    Plain(TcpStream),
    /// Decrypted.
    Tls(Box<TlsStream<Rewound>>),
}

impl ClientStream {
    /// Waits until there is something to read, and leaves it there. Of a decrypted one: bytes of TLS.
    pub(super) async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket().peek(buf).await
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.get_ref().0.socket,
        }
    }

    /// From now on a client that is gone without a word is noticed after a while, also when nothing is sent to it.
    pub(super) fn keep_alive(&self, interval: Duration) {
        let probes = TcpKeepalive::new().with_time(interval).with_interval(interval);
        if let Err(e) = SockRef::from(self.socket()).set_tcp_keepalive(&probes) {
            tracing::debug!("a client's keep-alive probes stay the system's: {e}");
        }
    }

    /// Ends it with a reset.
    pub(super) fn reset(self) {
        // One that is gone already needs none.
        SockRef::from(self.socket()).set_linger(Some(Duration::ZERO)).ok();
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// The socket, where its bytes are the client's own.
    pub(super) fn into_plain(self) -> Option<TcpStream> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Tls(_) => None,
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Of a decrypted one: close_notify, then FIN.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A socket whose first bytes have been looked at: they are read once more.
#[derive(Debug)]
pub(super) struct Rewound {
    came: BytesMut,
    socket: TcpStream,
}

impl Rewound {
    pub(super) fn new(came: BytesMut, socket: TcpStream) -> Self {
        Self { came, socket }
    }
}

impl AsyncRead for Rewound {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.came.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buf);
        }
        let n = self.came.len().min(buf.remaining());
        buf.put_slice(&self.came[..n]);
        self.came.advance(n);
        if self.came.is_empty() {
            self.came = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
