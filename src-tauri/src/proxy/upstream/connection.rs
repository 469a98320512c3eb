//! One upstream connection: hyper's HTTP/1.1 client driven by whoever uses it, over a socket that counts its bytes.
//!
//! hyper's connection is polled by the request that holds it, not by a task of its own: no hand-over between tasks on
//! the hot path, and dropping the request closes the connection at once.

use super::{DialContext, Failure, dial::Made, pool::ConnectionPermit, socket::Socket, tune, tunnel::Forwarded};
use crate::{proxy::body::Outgoing, status::traffic::Cause};
use http::{Request, Response, StatusCode};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_rustls::client::TlsStream;

/// What a connection's socket has seen.
#[derive(Debug, Default)]
struct Meter {
    written: AtomicU64,
    /// Of it what the kernel has: TLS keeps records back until they are flushed.
    flushed: AtomicU64,
    read: AtomicU64,
    write_failed: AtomicBool,
    /// The system gave the connection up because nobody acknowledged.
    timed_out: AtomicBool,
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

struct Counted {
    io: Io,
    meter: Arc<Meter>,
}

impl Counted {
    fn inner(&mut self) -> Pin<&mut dyn Stream> {
        match &mut self.io {
            Io::Plain(s) => Pin::new(s),
            Io::Tls(s) => Pin::new(&mut **s),
            Io::Nested(s) => Pin::new(&mut **s),
        }
    }

    /// A failed write is remembered and called done: the answer may be there already (a 413 for a large body), and hyper
    /// would not read it any more. Where there is none, reading tells so at once, as the socket is broken.
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
        self.meter.read.fetch_add((buf.filled().len() - before) as u64, Relaxed);
        if let Poll::Ready(Err(e)) = &poll {
            self.meter.broke(e);
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

/// hyper's side of a connection, which must be polled for anything to happen.
type Driven = Pin<Box<http1::Connection<TokioIo<Counted>, Outgoing>>>;

/// A connection; whoever holds it drives it.
pub(in crate::proxy) struct Connection {
    sender: SendRequest<Outgoing>,
    connection: Option<Driven>,
    meter: Arc<Meter>,
    socket: Socket,
    tls: bool,
    uses: u64,
    /// How requests are written for a proxy that forwards them.
    forwarded: Option<Forwarded>,
    /// What failed while it was made, for the first request on it to count.
    absorbed: Vec<Cause>,
    context: Arc<DialContext>,
    /// The system gives the connection up when nothing is acknowledged for `write_stall`.
    watched: bool,
    /// Its place in the pool's count.
    permit: ConnectionPermit,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("uses", &self.uses).field("alive", &self.connection.is_some()).finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) async fn new(made: Made, permit: ConnectionPermit, max_fields: usize) -> Result<Self, hyper::Error> {
        let Made { io, socket, forwarded, absorbed, context } = made;
        let meter = Arc::<Meter>::default();
        let tls = matches!(io, Io::Tls(_) | Io::Nested(_));
        let (sender, connection) = Builder::new()
            .preserve_header_case(true)
            .max_headers(max_fields)
            .handshake(TokioIo::new(Counted { io, meter: meter.clone() }))
            .await?;
        Ok(Self {
            sender,
            connection: Some(Box::pin(connection)),
            meter,
            socket,
            tls,
            uses: 0,
            forwarded,
            absorbed,
            context,
            watched: false,
            permit,
        })
    }

    /// True when the next request on it will not be its first.
    pub(in crate::proxy) fn will_reuse(&self) -> bool {
        self.uses > 0
    }

    /// True when it has served a request before the present one.
    pub(in crate::proxy) fn is_reused(&self) -> bool {
        self.uses > 1
    }

    /// What failed on the way to this connection, once.
    pub(in crate::proxy) fn take_absorbed(&mut self) -> Vec<Cause> {
        std::mem::take(&mut self.absorbed)
    }

    /// The network in which it was made.
    pub(super) fn network(&self) -> u64 {
        self.permit.network()
    }

    /// The answer takes its time: from here on a gap of the network is no reason to give the connection up.
    pub(in crate::proxy) fn disable_user_timeout(&mut self) {
        self.watch_unacknowledged(false);
    }

    /// Kept from request to request where answers come at once: setting it is a call of the system each time.
    fn watch_unacknowledged(&mut self, on: bool) {
        if self.context.write_stall.is_some() && self.watched != on {
            self.watched = on;
            self.socket.limit_unacknowledged(self.context.write_stall.filter(|_| on));
        }
    }

    /// Drives the connection; forgets it when it has ended.
    pub(in crate::proxy) fn poll_drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && connection.as_mut().poll(cx).is_ready()
        {
            self.connection = None;
        }
    }

    /// True when hyper would take another request; what the kernel has for it is not asked.
    pub(super) fn is_idle(&mut self) -> bool {
        self.poll_drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready() && !self.meter.write_failed.load(Relaxed)
    }

    /// True when the connection can take another request: it is idle, and the kernel has neither FIN, RST nor bytes for it.
    pub(super) fn is_usable(&mut self) -> bool {
        if !self.is_idle() {
            return false;
        }
        let mut cx = Context::from_waker(Waker::noop());
        match self.socket.peek() {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => true,
            // TLS has records of its own (session tickets); let it read them and see whether it is still alive.
            Ok(n) if n > 0 && self.tls => {
                self.socket.read_directly(true);
                self.poll_drive(&mut cx);
                self.socket.read_directly(false);
                self.connection.is_some() && self.sender.is_ready()
            }
            _ => false,
        }
    }

    /// Sends a request and waits for the response's head. `length` is the whole request in bytes, where known.
    ///
    /// # Errors
    /// A `Failure` whose cause says what the origin can have seen.
    pub(in crate::proxy) async fn exchange(
        mut self,
        mut request: Request<Outgoing>,
        mut length: Option<u64>,
    ) -> Result<(Response<Incoming>, Self), Failure> {
        self.uses += 1;
        if let Some(forwarded) = &self.forwarded {
            let before = head_length(&request);
            forwarded.address(&mut request);
            let more = head_length(&request) - before + forwarded.origin.len() as u64;
            length = length.map(|n| n + more);
        }
        let began = Instant::now();
        let limit = self.context.write_stall;
        self.watch_unacknowledged(true);
        let (written, read) = (self.meter.written.load(Relaxed), self.meter.read.load(Relaxed));
        let mut stall = self.socket.stall(limit);
        let result = {
            let mut answer = pin!(self.sender.send_request(request));
            let connection = &mut self.connection;
            std::future::poll_fn(|cx| {
                if let Some(driven) = connection
                    && driven.as_mut().poll(cx).is_ready()
                {
                    *connection = None;
                }
                match answer.as_mut().poll(cx) {
                    Poll::Ready(answer) => Poll::Ready(Some(answer)),
                    Poll::Pending => stall.poll(cx).map(|()| None),
                }
            })
            .await
        };
        let error = match result {
            Some(Ok(response)) => {
                if let Some(forwarded) = &self.forwarded
                    && response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
                {
                    return Err(forwarded.refused_login());
                }
                self.permit.answered();
                return Ok((response, self));
            }
            Some(Err(error)) => error,
            None => return Err(self.stalled("the network took no byte of the request")),
        };
        // What fails to be written behind the whole request is not of it.
        let whole = length.is_some_and(|n| self.meter.flushed.load(Relaxed) >= written + n);
        let written = self.meter.written.load(Relaxed) - written;
        let answered = self.meter.read.load(Relaxed) > read;
        if !answered {
            self.permit.broke();
        }
        let incomplete = !whole && (self.meter.write_failed.load(Relaxed) || length.is_some_and(|n| written < n));
        let unacknowledged =
            (!answered && self.meter.timed_out.load(Relaxed) && (incomplete || self.is_unacknowledged(began.elapsed())))
                .then(|| self.stalled("the other side acknowledged nothing of the request"));
        if let (true, Some(failure)) = (incomplete, &unacknowledged) {
            return Err(failure.clone());
        }
        let cause = match (answered, incomplete, self.is_reused()) {
            (true, ..) if error.is_parse() => Cause::BadResponse,
            // A head that broke off has told nobody anything.
            (true, ..) => Cause::CutBeforeContent,
            (false, true, _) => Cause::WriteFailed,
            (false, false, true) => Cause::ReusedReset,
            (false, false, false) => Cause::FreshReset,
        };
        // All of it may have arrived, and only its acknowledgement got lost.
        Err(Failure::new(cause, unacknowledged.map_or_else(|| describe(&error), |f| f.detail)))
    }

    /// True when a connection that the system gave up this long after a request was begun had bytes unacknowledged. The
    /// other way to be given up is keep-alive, and that takes two intervals at least from the last acknowledgement.
    fn is_unacknowledged(&self, after: Duration) -> bool {
        tune::KNOWS_UNACKNOWLEDGED && self.context.write_stall.is_some() && after < self.context.keepalive * 2
    }

    /// The failure, and a note that large packets may vanish on this way.
    fn stalled(&self, what: &str) -> Failure {
        if let Some(address) = self.socket.peer() {
            self.context.cache.stalled(address);
        }
        let limit = self.context.write_stall.unwrap_or_default();
        Failure::new(Cause::WriteStalled, format!("{what} for {limit:?}"))
    }
}

/// The innermost reason, without anything of the request.
fn describe(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "the connection was closed before a response".into();
    }
    if error.is_parse() {
        return format!("the answer was not valid HTTP ({error})");
    }
    innermost(error)
}

/// The reason behind all that a library says around it.
pub(in crate::proxy) fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// Bytes of a request's head as hyper writes it: request line, fields in their spelling, empty line.
pub(in crate::proxy) fn head_length<B>(request: &Request<B>) -> u64 {
    let target = request.uri().path_and_query().map_or(1, |t| t.as_str().len());
    let line = request.method().as_str().len() + 1 + target + " HTTP/1.1\r\n".len();
    // hyper leaves out the blank before an empty value; counting it would make a request look incomplete that was sent whole.
    let field =
        |(n, v): (&http::HeaderName, &http::HeaderValue)| n.as_str().len() + 2 + v.len() + if v.is_empty() { 1 } else { 2 };
    let fields: usize = request.headers().iter().map(field).sum();
    (line + fields + 2) as u64
}
