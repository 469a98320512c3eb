//! Both directions of a tunnel whose server has answered: an end is forwarded as an end, a reset as a reset, at once.

use crate::{control::Mode, status::tunnels::TunnelEnd, telemetry::TunnelTicket, upstream::Blind};
use bytes::{Buf, BytesMut};
use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
};
use tokio_util::io::poll_read_buf;

/// What is read at once, first and where much comes; an idle tunnel holds none of it.
const PIECES: (usize, usize) = (8 << 10, 64 << 10);

/// Who has closed already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Closed {
    pub(super) client: bool,
}

/// One direction.
struct Flow {
    /// What is still to be written.
    buffer: BytesMut,
    /// How much is read next.
    piece: usize,
    ended: bool,
    closed: bool,
    unflushed: bool,
}

impl Flow {
    fn new(closed: bool) -> Self {
        Self { buffer: BytesMut::new(), piece: PIECES.0, ended: closed, closed, unflushed: false }
    }

    /// Ready when the reader has ended and the writer knows.
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, reader: &mut R, writer: &mut W, count: impl Fn(u64)) -> Poll<io::Result<()>>
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
                    let n = read?;
                    self.ended = n == 0;
                    self.piece = if n < PIECES.0 { PIECES.0 } else { PIECES.1 };
                    count(n as u64);
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

/// Carries both directions to their ends. Where one side is reset, so is the other.
pub(super) async fn both(
    mut client: TcpStream,
    mut server: Blind,
    ticket: &TunnelTicket,
    closed: Closed,
    mut mode: watch::Receiver<Mode>,
) -> TunnelEnd {
    let (mut up, mut down) = (Flow::new(closed.client), Flow::new(false));
    let carries = poll_fn(|cx| {
        let sent = up.poll(cx, &mut client, &mut server, |n| ticket.up(n))?;
        let received = down.poll(cx, &mut server, &mut client, |n| ticket.down(n))?;
        if sent.is_ready() && received.is_ready() { Poll::Ready(io::Result::Ok(())) } else { Poll::Pending }
    });
    let done = tokio::select! {
        biased;
        done = carries => done,
        // Out of time: both learn it by an end, which an idle client minds least.
        () = Mode::reaches(&mut mode, Mode::Closing) => return TunnelEnd::Cut,
    };
    match done {
        Ok(()) => TunnelEnd::Carried,
        Err(_) => {
            server.reset();
            reset(client);
            TunnelEnd::Reset
        }
    }
}

/// Ends a client's connection with a reset.
pub(super) fn reset(client: TcpStream) {
    // One that is gone already needs none.
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).ok();
}
