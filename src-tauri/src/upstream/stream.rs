//! The byte stream below hyper: plain or TLS, and counted, so that a failure's phase is known. Knows no requests.

use super::{
    head_lines::{BareLf, HeadLines},
    socket::Socket,
};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// What a connection's socket has seen.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) written: AtomicU64,
    /// Of it what the kernel has: TLS keeps records back until they are flushed.
    pub(super) flushed: AtomicU64,
    pub(super) read: AtomicU64,
    pub(super) write_failed: AtomicBool,
    /// The system gave the connection up because nobody acknowledged.
    pub(super) timed_out: AtomicBool,
    /// A request is under way and its response's head not complete: its lines are looked at.
    pub(super) awaits_head: AtomicBool,
    /// A line of it ended in LF alone.
    pub(super) bare_lf: AtomicBool,
}

impl Meter {
    fn broke(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::TimedOut {
            self.timed_out.store(true, Relaxed);
        }
    }
}

/// Plain or TLS, counting.
pub(super) enum Io {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
    /// TLS to the upstream within TLS to a proxy.
    Nested(Box<TlsStream<TlsStream<Socket>>>),
}

pub(super) struct Counted {
    pub(super) io: Io,
    pub(super) meter: Arc<Meter>,
    lines: HeadLines,
}

impl Counted {
    pub(super) fn new(io: Io, meter: Arc<Meter>) -> Self {
        Self { io, meter, lines: HeadLines::default() }
    }

    /// Looks at what came of a response's head.
    fn vet(&mut self, fresh: &[u8]) -> io::Result<()> {
        match self.lines.scan(fresh) {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.meter.awaits_head.store(false, Relaxed);
                Ok(())
            }
            Err(BareLf) => {
                self.meter.bare_lf.store(true, Relaxed);
                let why = "the answer was not valid HTTP (a line of its head ends in LF alone)";
                Err(io::Error::new(io::ErrorKind::InvalidData, why))
            }
        }
    }

    fn inner(&mut self) -> Pin<&mut dyn Stream> {
        match &mut self.io {
            Io::Plain(s) => Pin::new(s),
            Io::Tls(s) => Pin::new(&mut **s),
            Io::Nested(s) => Pin::new(&mut **s),
        }
    }

    /// A failed write is remembered and called done: the response may be there already (a 413 for a large body), and hyper
    /// would not read it any more. Where there is none, reading shows it at once, as the socket is broken.
    fn noted(&self, poll: Poll<io::Result<usize>>, all: usize) -> Poll<io::Result<usize>> {
        match poll {
            Poll::Ready(Ok(n)) => {
                self.meter.written.fetch_add(n as u64, Relaxed);
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(e)) => {
                self.meter.broke(&e);
                self.meter.write_failed.store(true, Relaxed);
                Poll::Ready(Ok(all))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = self.inner().poll_read(cx, buf);
        let fresh = &buf.filled()[before..];
        self.meter.read.fetch_add(fresh.len() as u64, Relaxed);
        if let Poll::Ready(Err(e)) = &poll {
            self.meter.broke(e);
        }
        if self.meter.awaits_head.load(Relaxed) && !fresh.is_empty() {
            self.vet(fresh)?;
        }
        poll
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = self.inner().poll_write(cx, buf);
        self.noted(poll, buf.len())
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let poll = self.inner().poll_write_vectored(cx, bufs);
        self.noted(poll, bufs.iter().map(|b| b.len()).sum())
    }
    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(s) => s.is_write_vectored(),
            Io::Tls(s) => s.is_write_vectored(),
            Io::Nested(s) => s.is_write_vectored(),
        }
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = self.inner().poll_flush(cx).map_ok(|()| 0);
        if let Poll::Ready(Ok(_)) = poll
            && !self.meter.write_failed.load(Relaxed)
        {
            self.meter.flushed.store(self.meter.written.load(Relaxed), Relaxed);
        }
        self.noted(poll, 0).map_ok(|_| ())
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }
}
