//! TLS handshakes that break: the length of the client's hello, and a server's side that stops after some bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

/// Type and version of a TLS record, before its length (RFC 8446 section 5.1).
const RECORD: usize = 5;

/// Length of the first record that the client sends, which stays to be read; `None` when none comes.
pub(super) async fn hello_length(stream: &TcpStream) -> Option<u16> {
    let mut header = [0; RECORD];
    loop {
        match stream.peek(&mut header).await {
            Ok(0) | Err(_) => return None,
            Ok(RECORD) => return Some(u16::from_be_bytes([header[3], header[4]])),
            // A hello in two segments; peeking does not wait for more.
            Ok(_) => tokio::task::yield_now().await,
        }
    }
}

/// Answers the hello with this many bytes; then RST, or silence until the client leaves.
pub(super) async fn handshake(tls: &TlsAcceptor, stream: TcpStream, bytes: usize, resets: bool) {
    let clipped = Clipped { stream, left: bytes, resets };
    let stream = match tls.accept(clipped).into_fallible().await {
        Ok(stream) => stream.into_inner().0.stream,
        Err((_, clipped)) => clipped.stream,
    };
    if resets {
        // A failure to set it leaves an ordinary close, which ends the handshake as well.
        drop(stream.set_zero_linger());
    }
}

/// A socket that takes a number of bytes. What is written after them breaks it, or vanishes.
struct Clipped {
    stream: TcpStream,
    left: usize,
    resets: bool,
}

impl AsyncRead for Clipped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Clipped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.left.min(buf.len()) {
            0 if self.resets => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            0 => Poll::Ready(Ok(buf.len())),
            some => {
                let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, &buf[..some]))?;
                self.left -= written;
                Poll::Ready(Ok(written))
            }
        }
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
