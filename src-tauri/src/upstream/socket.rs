//! The plain socket below TLS: shared with the pool, which looks at it without hyper, and watched for writes that stall.
//!
//! Knows bytes and the kernel only; what a request is, `connection` knows.

use super::tune;
use std::{
    future::Future,
    io,
    mem::MaybeUninit,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

/// The plain socket below TLS; shared, so that the pool can look at it without hyper.
#[derive(Debug, Clone)]
pub(super) struct Socket {
    stream: Arc<TcpStream>,
    /// Read past tokio's readiness, which may lag behind the kernel while nobody polls.
    direct: Arc<AtomicBool>,
    outbound: Arc<Outbound>,
}

/// What the kernel took, and whether it takes more.
#[derive(Debug, Default)]
struct Outbound {
    sent: AtomicU64,
    blocked: AtomicBool,
}

impl Outbound {
    fn note(&self, taken: &Poll<io::Result<usize>>) {
        self.blocked.store(taken.is_pending(), Relaxed);
        if let Poll::Ready(Ok(n)) = taken {
            self.sent.fetch_add(*n as u64, Relaxed);
        }
    }
}

/// A way to end a connection without holding it open.
#[derive(Debug)]
pub(super) struct Handle(Weak<TcpStream>);

impl Handle {
    pub(super) fn is_open(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// The address that the connection comes from.
    pub(super) fn local_ip(&self) -> Option<IpAddr> {
        self.0.upgrade()?.local_addr().ok().map(|address| address.ip())
    }

    /// Ends it: whoever reads from it sees the end at once.
    pub(super) fn end(&self) {
        if let Some(stream) = self.0.upgrade() {
            // It may have ended by itself.
            socket2::SockRef::from(&*stream).shutdown(std::net::Shutdown::Both).ok();
        }
    }
}

impl Socket {
    pub(super) fn handle(&self) -> Handle {
        Handle(Arc::downgrade(&self.stream))
    }

    /// How long the system lets bytes stay unacknowledged.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn limit_of_unacknowledged(&self) -> io::Result<Duration> {
        socket2::SockRef::from(&*self.stream).tcp_user_timeout().map(Option::unwrap_or_default)
    }

    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream: Arc::new(stream), direct: Arc::default(), outbound: Arc::default() }
    }

    /// See `tune::limit_unacknowledged`.
    pub(super) fn limit_unacknowledged(&self, limit: Option<Duration>) {
        tune::limit_unacknowledged(&self.stream, limit);
    }

    /// From now on reads go past tokio's readiness, or no longer.
    pub(super) fn read_directly(&self, directly: bool) {
        self.direct.store(directly, Relaxed);
    }

    /// A watch on this socket's writes; without a limit it never fires.
    pub(super) fn stall(&self, limit: Option<Duration>) -> Stall {
        Stall { outbound: self.outbound.clone(), limit, since: None }
    }

    /// When it is dropped, the other side sees a reset and not an end.
    pub(super) fn reset_on_drop(&self) {
        // One that is gone already needs none.
        socket2::SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO)).ok();
    }

    /// The address of the other side.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    fn put(&self, cx: &mut Context<'_>, write: impl Fn(&TcpStream) -> io::Result<usize>) -> Poll<io::Result<usize>> {
        let taken = loop {
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => match write(&self.stream) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    done => break Poll::Ready(done),
                },
                Poll::Ready(Err(e)) => break Poll::Ready(Err(e)),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.outbound.note(&taken);
        taken
    }

    /// One read. Where tokio's readiness is edge-triggered (epoll, kqueue) and less came than there was room for, the kernel
    /// has no more: the readiness ends with this read, which spares the next one a call of the system in vain.
    fn read_what_is_there(&self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        if !cfg!(unix) {
            return self.stream.try_read_buf(buf).map(drop);
        }
        let (room, mut short) = (buf.remaining(), false);
        // The readiness that `try_io` takes away is the one that it saw before the read, as in tokio's own reads.
        let read = self.stream.try_io(Interest::READABLE, || {
            let n = self.stream.try_read_buf(buf)?;
            short = 0 < n && n < room;
            if short { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if short { Ok(()) } else { read }
    }

    /// What waits to be read: `WouldBlock` for nothing, 0 for the end.
    pub(super) fn peek(&self) -> io::Result<usize> {
        socket2::SockRef::from(&*self.stream).peek(&mut [MaybeUninit::uninit(); 1])
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.direct.load(Relaxed) {
            return match io::Read::read(&mut &*socket2::SockRef::from(&*self.stream), buf.initialize_unfilled()) {
                Ok(n) => {
                    buf.advance(n);
                    Poll::Ready(Ok(()))
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                Err(e) => Poll::Ready(Err(e)),
            };
        }
        loop {
            std::task::ready!(self.stream.poll_read_ready(cx))?;
            match self.read_what_is_there(buf) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.put(cx, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.put(cx, |stream| stream.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match socket2::SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write) {
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        })
    }
}

/// Fires when the kernel takes no byte for too long. Its clock exists only once the kernel has refused one.
pub(super) struct Stall {
    outbound: Arc<Outbound>,
    limit: Option<Duration>,
    since: Option<(u64, Pin<Box<Sleep>>)>,
}

impl Stall {
    /// To be polled after every write that may have been made.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(limit), true) = (self.limit, self.outbound.blocked.load(Relaxed)) else { return Poll::Pending };
        let sent = self.outbound.sent.load(Relaxed);
        let (known, clock) = self.since.get_or_insert_with(|| (sent, Box::pin(sleep(limit))));
        if *known != sent {
            *known = sent;
            clock.as_mut().reset(Instant::now() + limit);
        }
        clock.as_mut().poll(cx)
    }
}
