//! Both directions of two connections whose bytes are nobody's here: an end is forwarded as an end, a reset is seen at once.
//! Understands nothing of what it carries.

use crate::control::Mode;
use bytes::{Buf, BytesMut};
use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tokio_util::io::poll_read_buf;

/// What is read at once, first and where much comes; an idle connection holds none of it.
const PIECES: (usize, usize) = (8 << 10, 64 << 10);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spliced {
    /// Both sides have closed.
    Ended,
    /// One side was reset: the other one is to be.
    Reset,
    /// The engine ends.
    Cut,
}

/// One direction.
pub(super) struct Flow<C> {
    /// What is still to be written.
    buffer: BytesMut,
    /// How much is read next.
    piece: usize,
    ended: bool,
    closed: bool,
    unflushed: bool,
    /// Gets the number of bytes that have been read.
    count: C,
}

impl<C: Fn(u64)> Flow<C> {
    /// Begins with bytes that have been read before.
    pub(super) fn new(read: BytesMut, count: C) -> Self {
        if !read.is_empty() {
            count(read.len() as u64);
        }
        Self { buffer: read, piece: PIECES.0, ended: false, closed: false, unflushed: false, count }
    }

    /// One whose reader has ended, which its writer knows.
    pub(super) fn closed(count: C) -> Self {
        Self { ended: true, closed: true, ..Self::new(BytesMut::new(), count) }
    }

    /// Ready when the reader has ended and the writer knows.
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, reader: &mut R, writer: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            while !self.buffer.is_empty() {
                let n = ready!(Pin::new(&mut *writer).poll_write(cx, &self.buffer))?;
                if n == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.buffer.advance(n);
                self.unflushed = true;
            }
            if self.closed {
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                ready!(Pin::new(&mut *writer).poll_shutdown(cx))?;
                self.closed = true;
                continue;
            }
            self.buffer.reserve(self.piece);
            match poll_read_buf(Pin::new(&mut *reader), cx, &mut self.buffer) {
                Poll::Ready(read) => {
                    let n = read.or_else(end)?;
                    self.ended = n == 0;
                    self.piece = if n < PIECES.0 { PIECES.0 } else { PIECES.1 };
                    (self.count)(n as u64);
                }
                Poll::Pending => {
                    self.buffer = BytesMut::new();
                    if self.unflushed {
                        ready!(Pin::new(&mut *writer).poll_flush(cx))?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}

/// Many servers end TLS by a FIN alone. Who speaks through it knows whether the last word had been said.
fn end(e: io::Error) -> io::Result<usize> {
    if e.kind() == io::ErrorKind::UnexpectedEof { Ok(0) } else { Err(e) }
}

/// Carries both directions to their ends.
pub(super) async fn splice<A, B>(
    (a, from_a): (&mut A, Flow<impl Fn(u64)>),
    (b, from_b): (&mut B, Flow<impl Fn(u64)>),
    mode: &mut watch::Receiver<Mode>,
) -> Spliced
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_a, mut from_b) = (from_a, from_b);
    let carries = poll_fn(|cx| {
        // What one side said before it broke reaches the other: so both are polled before a failure counts.
        let (there, back) = (from_a.poll(cx, a, b), from_b.poll(cx, b, a));
        match (there, back) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(Spliced::Reset),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Spliced::Ended),
            _ => Poll::Pending,
        }
    });
    tokio::select! {
        biased;
        ended = carries => ended,
        () = Mode::reaches(mode, Mode::Closing) => Spliced::Cut,
    }
}
