//! The writing half of a client's socket, and its polite end: never an RST, never a FIN right after the last bytes.

use super::{At, ClientIo};
use crate::inbound::farewell::GRACE;
use bytes::Buf;
use std::{
    io,
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How far a polite close has come.
#[derive(Debug)]
pub(super) enum Closing {
    Open,
    Reply(bytes::Bytes),
    /// The client may close first, so that no FIN rides after the last bytes.
    Grace,
    Shutdown,
    Linger,
    Done,
}

/// What a lingering close reads and forgets at most: twice the largest request that the Messages API takes (32 MB), so that
/// an upload that failed early learns of. Its time is `client.linger`.
const LINGER_BYTES: usize = 64 << 20;

impl ClientIo {
    /// Reads and forgets until the client closes, the limit is reached or the timer ends.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0u8; 16 << 10];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.lingered += buf.filled().len();
                    if self.lingered > LINGER_BYTES {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => {
                    self.eof = true;
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    return match &mut self.timer {
                        Some(timer) => timer.as_mut().poll(cx),
                        None => Poll::Ready(()),
                    };
                }
            }
        }
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.wrote = true;
        self.state.unflushed.store(true, Relaxed);
        Pin::new(self.stream.get_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.wrote = true;
        self.state.unflushed.store(true, Relaxed);
        Pin::new(self.stream.get_mut()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes the socket once its own buffer is empty, and not before.
        let flushed = Pin::new(self.stream.get_mut()).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.state.unflushed.store(false, Relaxed);
        }
        flushed
    }

    /// Closes so that the client can read everything: response, grace, FIN, linger. Unread input would make it an RST.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if matches!(this.at, At::Connect) {
            return Poll::Ready(Ok(()));
        }
        // A farewell is part of the last message: cut short, the client would wait for a FIN that never comes.
        this.state.amid.store(true, Relaxed);
        loop {
            match &mut this.closing {
                Closing::Open if this.eof || !this.wrote || this.state.client_closes.load(Relaxed) => {
                    this.closing = Closing::Shutdown
                }
                Closing::Open => {
                    this.arm_for(GRACE);
                    this.closing = Closing::Grace;
                }
                Closing::Reply(bytes) => {
                    while !bytes.is_empty() {
                        let n = ready!(Pin::new(this.stream.get_mut()).poll_write(cx, bytes))?;
                        bytes.advance(n);
                    }
                    this.eof = false;
                    this.arm_for(GRACE);
                    this.closing = Closing::Grace;
                }
                Closing::Grace => {
                    ready!(this.poll_discard(cx));
                    this.closing = Closing::Shutdown;
                }
                Closing::Shutdown => {
                    ready!(Pin::new(this.stream.get_mut()).poll_shutdown(cx))?;
                    this.arm_for(this.times.linger);
                    this.closing = if this.eof { Closing::Done } else { Closing::Linger };
                }
                Closing::Linger => {
                    ready!(this.poll_discard(cx));
                    this.closing = Closing::Done;
                }
                Closing::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}
