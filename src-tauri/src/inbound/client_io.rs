//! A client's socket as hyper sees it: heads vetted, waits bounded, closing polite. Knows bytes, not requests.
//!
//! hyper's own `header_read_timeout` also ends idle keep-alive connections, which agents pool for 300 s; here a head
//! that has begun and a connection that is idle have clocks of their own.

mod close;

use super::{
    client_stream::ClientStream,
    connection_state::ConnectionState,
    guard::{
        chunks::Chunks,
        head::{self, Framing, HeadLimits, Refusal},
    },
    tunnel,
};
use crate::{config::ClientTimes, message::Pace};
use bytes::{Buf, BytesMut};
use close::Closing;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, ReadBuf, Take},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// Writes the response to a head that hyper never sees, and notes it; told as much of the head as there is.
pub(super) type Refuse = Box<dyn Fn(&[u8], Refusal) -> bytes::Bytes + Send>;

/// Where the client's byte stream stands.
#[derive(Clone, Copy, Debug)]
enum At {
    Head,
    Body(u64),
    Chunked(Chunks),
    /// The chunked coding is broken: where the next head begins cannot be known.
    Lost,
    /// A CONNECT, which stands whole in `pending` and is not hyper's: to hyper the client has left.
    Connect,
}

/// What is being waited for, and so which clock runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Idle,
    Head,
    Body,
}

/// The socket.
pub(super) struct ClientIo {
    stream: Take<ClientStream>,
    state: Arc<ConnectionState>,
    limits: HeadLimits,
    times: ClientTimes,
    refuse: Refuse,
    at: At,
    /// Bytes read and not yet given to hyper; the first `released` of them may be.
    pending: BytesMut,
    released: usize,
    scanned: usize,
    eof: bool,
    wait: Option<Wait>,
    /// True when bytes have come since the idle clock began.
    active: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// What a body may still keep us waiting.
    pace: Pace,
    closing: Closing,
    lingered: usize,
    wrote: bool,
}

/// Why a body is not waited for any more.
const STALLED: &str = "its body paused or came too slowly (client.body_idle, client.min_body_rate)";

impl ClientIo {
    /// `came`: what has been read of it already.
    pub(super) fn new(
        (stream, came): (ClientStream, BytesMut),
        state: Arc<ConnectionState>,
        limits: HeadLimits,
        times: ClientTimes,
        refuse: Refuse,
    ) -> Self {
        use tokio::io::AsyncReadExt;
        let pace = Pace::new(times.body_idle, times.min_body_rate);
        Self {
            stream: stream.take(u64::MAX),
            state,
            limits,
            times,
            refuse,
            at: At::Head,
            pending: came,
            released: 0,
            scanned: 0,
            eof: false,
            wait: None,
            active: false,
            timer: None,
            pace,
            closing: Closing::Open,
            lingered: 0,
            wrote: false,
        }
    }

    /// The socket without its history; only for a connection that rests.
    pub(super) fn into_stream(self) -> ClientStream {
        self.stream.into_inner()
    }

    /// The socket and what has come on it that is no request.
    pub(super) fn into_switched(self) -> (ClientStream, BytesMut) {
        (self.stream.into_inner(), self.pending)
    }

    /// A CONNECT has come.
    pub(super) fn is_connect(&self) -> bool {
        matches!(self.at, At::Connect)
    }

    /// The socket and what has come on it, from a CONNECT's first byte on; `None` where no CONNECT has come.
    pub(super) fn into_connect(self) -> Option<(TcpStream, BytesMut)> {
        if !self.is_connect() {
            return None;
        }
        Some((self.stream.into_inner().into_plain()?, self.pending))
    }

    fn note_place(&self) {
        self.state.body_open.store(!matches!(self.at, At::Head), Relaxed);
        self.state.amid.store(!matches!(self.at, At::Head) || !self.pending.is_empty() || self.eof, Relaxed);
    }

    fn arm(&mut self, wait: Wait) {
        match wait {
            Wait::Idle => self.arm_for(self.times.idle),
            Wait::Head => self.arm_for(self.times.head),
            Wait::Body => {
                let until = self.pace.waits();
                self.arm_until(until);
            }
        }
    }

    fn arm_for(&mut self, limit: Duration) {
        self.arm_until(Instant::now() + limit);
    }

    fn arm_until(&mut self, until: Instant) {
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(until),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(until))),
        }
    }

    /// The clock that belongs to the present state; restarted when the state changes.
    ///
    /// The idle clock is not restarted by each request, which would cost a timer's turn: when it fires and there has been
    /// a request meanwhile, it begins anew. So an idle connection is closed after one to two times `client.idle`.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Wait> {
        let wait = match self.at {
            At::Head if self.pending.is_empty() => Wait::Idle,
            At::Head => Wait::Head,
            At::Body(_) | At::Chunked(_) | At::Lost | At::Connect => Wait::Body,
        };
        if self.wait != Some(wait) {
            self.wait = Some(wait);
            self.arm(wait);
        }
        loop {
            let Some(timer) = &mut self.timer else { return Poll::Pending };
            ready!(timer.as_mut().poll(cx));
            let busy = self.state.busy.load(Relaxed);
            // A response that is still on its way ends later than now: the clock runs once more in full after it.
            let in_use = std::mem::replace(&mut self.active, busy) || busy;
            if wait == Wait::Idle && in_use {
                self.arm(wait);
            } else {
                return Poll::Ready(wait);
            }
        }
    }

    /// Releases what of `pending` is understood. `Err`: the head is refused.
    fn vet(&mut self) -> Result<(), Refusal> {
        let fresh = &self.pending[self.released..];
        match self.at {
            At::Head if fresh.is_empty() => {}
            At::Head => match head::find_end(fresh, self.scanned, self.limits)? {
                None => self.scanned = fresh.len(),
                Some(end) => {
                    let framing = head::check(&fresh[..end], self.limits)?;
                    if tunnel::is_connect(fresh) && self.stream.get_ref().is_plain() {
                        self.at = At::Connect;
                        return Ok(());
                    }
                    self.released += end;
                    self.scanned = 0;
                    self.pace = Pace::new(self.times.body_idle, self.times.min_body_rate);
                    self.at = match framing {
                        Framing::Length(0) => At::Head,
                        Framing::Length(n) => At::Body(n),
                        Framing::Chunked => At::Chunked(Chunks::default()),
                    };
                }
            },
            At::Body(left) => {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(fresh.len());
                self.released += take;
                self.at = match left - take as u64 {
                    0 => At::Head,
                    left => At::Body(left),
                };
            }
            At::Chunked(mut chunks) => match chunks.scan(fresh) {
                Some((taken, done)) => {
                    self.released += taken;
                    self.at = if done { At::Head } else { At::Chunked(chunks) };
                }
                None => self.at = At::Lost,
            },
            At::Lost | At::Connect => {}
        }
        Ok(())
    }

    fn reject(&mut self, refusal: Refusal) {
        tracing::info!(?refusal, "a request head was refused");
        let reply = (self.refuse)(&self.pending[self.released..], refusal);
        self.pending.clear();
        self.released = 0;
        self.eof = true;
        self.closing = Closing::Reply(reply);
    }

    /// Reads more bytes into `pending`; `Ready(0)` at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // A small request fits: what is shorter than the room costs no second read in vain.
        let room = if self.pending.is_empty() { 2048 } else { self.pending.len().clamp(2048, 16 << 10) };
        self.pending.reserve(room);
        tokio_util::io::poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.pending)
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.poll_next(cx, buf);
        self.note_place();
        read
    }
}

impl ClientIo {
    fn poll_next(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self;
        loop {
            if this.released > 0 {
                let n = this.released.min(buf.remaining());
                buf.put_slice(&this.pending[..n]);
                this.pending.advance(n);
                this.released -= n;
                if this.pending.is_empty() {
                    this.pending = BytesMut::new(); // an idle connection holds no buffer
                }
                return Poll::Ready(Ok(()));
            }
            // Whoever takes the connection from hyper reads what comes.
            if this.state.is_switched() {
                return Poll::Pending;
            }
            if this.eof {
                return Poll::Ready(Ok(()));
            }
            let unseen = match this.at {
                At::Head => this.pending.len() > this.scanned,
                At::Body(_) | At::Chunked(_) => !this.pending.is_empty(),
                At::Connect => return Poll::Ready(Ok(())),
                // The request's handler reads this and answers it; nothing after it is read as a request.
                At::Lost => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the chunked coding is broken")));
                }
            };
            if unseen {
                // A pipelined head waits its turn: refusing it now would look to hyper as if the client had left.
                if matches!(this.at, At::Head) && this.state.busy.load(Relaxed) {
                    this.state.next.register(cx.waker());
                    if this.state.busy.load(SeqCst) {
                        return Poll::Pending;
                    }
                }
                if let Err(refusal) = this.vet() {
                    this.reject(refusal);
                }
                continue;
            }
            // A body of known length goes straight into hyper's buffer.
            if let At::Body(left) = this.at
                && this.pending.is_empty()
            {
                let before = buf.filled().len();
                this.stream.set_limit(left);
                let read = Pin::new(&mut this.stream).poll_read(cx, buf);
                this.stream.set_limit(u64::MAX);
                match read {
                    Poll::Ready(Ok(())) => {
                        let n = (buf.filled().len() - before) as u64;
                        this.at = if n == left { At::Head } else { At::Body(left - n) };
                        this.pace.brought(n);
                        this.wait = None;
                        return Poll::Ready(Ok(()));
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => {}
                }
            } else {
                match this.poll_fill(cx) {
                    Poll::Ready(Ok(0)) => {
                        this.eof = true;
                        continue;
                    }
                    Poll::Ready(Ok(n)) => {
                        this.active = true;
                        if let At::Chunked(_) = this.at {
                            this.pace.brought(n as u64);
                            this.wait = None; // the clock of a pause begins anew
                        }
                        continue;
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => {}
                }
            }
            match ready!(this.poll_wait(cx)) {
                Wait::Head => this.reject(Refusal::TooSlow),
                Wait::Body => return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, STALLED))),
                Wait::Idle => this.eof = true,
            }
        }
    }
}
