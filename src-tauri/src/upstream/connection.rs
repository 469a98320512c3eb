//! One upstream connection: hyper's HTTP/1.1 client driven by whoever uses it, over a socket that counts its bytes.
//!
//! hyper's connection is polled by the request that holds it, not by a task of its own: no hand-over between tasks on
//! the hot path, and dropping the request closes the connection at once.

use super::{
    blind::Blind,
    context::DialContext,
    dial::Made,
    socket::{Handle, Socket},
    stream::{Counted, Io, Meter},
    tune,
    tunnel::Forwarded,
};
use crate::{
    message::{Failure, Outgoing, head_length, headers::unknown_coding, innermost},
    status::faults::Cause,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::UPGRADE};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// A kept connection that breaks this soon after a request was closed before it came; later it may be running (U6, U7).
const SOON: Duration = Duration::from_secs(1);

/// When a system that gives a connection up for its unacknowledged bytes has done so, after its limit: it counts from the
/// first byte that it sent again.
const GIVEN_UP_BY: Duration = Duration::from_secs(2);

/// Whose fault it is when a response cannot be read for sure.
const ASK_OPERATOR: &str = "Ask whoever operates the API";
/// Large packets that vanish are a VPN's as a rule.
const SMALLER_MTU: &str = "Check the VPN: a smaller MTU may help";

/// A connection's place in its pool's count; dropped with the connection.
pub(super) trait Permit: Send + Sync + std::fmt::Debug {
    /// The network in which the connection was made.
    fn network(&self) -> u64;
    /// The other side has answered.
    fn answered(&mut self);
    /// The connection broke without a response to the present request.
    fn broke(&mut self);
}

/// hyper's side of a connection, which must be polled for anything to happen.
type Driven = Pin<Box<http1::Connection<TokioIo<Counted>, Outgoing>>>;

/// A connection; whoever holds it drives it.
pub(crate) struct Connection {
    sender: SendRequest<Outgoing>,
    connection: Option<Driven>,
    /// The same once the other side has agreed to another protocol, of which some may have been read.
    switched: Option<Driven>,
    meter: Arc<Meter>,
    socket: Socket,
    tls: bool,
    uses: u64,
    /// How requests are written for a proxy that forwards them.
    forwarded: Option<Forwarded>,
    /// What failed while it was made, for the first request on it to count.
    dial_faults: Vec<Cause>,
    context: Arc<DialContext>,
    /// The system gives the connection up when nothing is acknowledged for `write_stall`.
    watched: bool,
    /// Its place in the pool's count.
    permit: Box<dyn Permit>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("uses", &self.uses).field("alive", &self.connection.is_some()).finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) async fn new(made: Made, permit: Box<dyn Permit>, max_fields: usize) -> Result<Self, hyper::Error> {
        let Made { io, socket, forwarded, dial_faults, context } = made;
        let meter = Arc::<Meter>::default();
        let tls = matches!(io, Io::Tls(_) | Io::Nested(_));
        let (sender, connection) = Builder::new()
            .preserve_header_case(true)
            .max_headers(max_fields)
            .handshake(TokioIo::new(Counted::new(io, meter.clone())))
            .await?;
        Ok(Self {
            sender,
            connection: Some(Box::pin(connection)),
            switched: None,
            meter,
            socket,
            tls,
            uses: 0,
            forwarded,
            dial_faults,
            context,
            watched: false,
            permit,
        })
    }

    /// Its socket, as others may know it.
    pub(super) fn handle(&self) -> Handle {
        self.socket.handle()
    }

    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn socket(&self) -> Socket {
        self.socket.clone()
    }

    /// True when the next request on it will not be its first.
    pub(crate) fn will_reuse(&self) -> bool {
        self.uses > 0
    }

    /// True when it has served a request before the present one.
    pub(crate) fn is_reused(&self) -> bool {
        self.uses > 1
    }

    /// What failed on the way to this connection, once.
    pub(crate) fn take_dial_faults(&mut self) -> Vec<Cause> {
        std::mem::take(&mut self.dial_faults)
    }

    /// The network in which it was made.
    pub(super) fn network(&self) -> u64 {
        self.permit.network()
    }

    /// The response takes its time: from here on a gap of the network is no reason to give the connection up.
    pub(crate) fn disable_user_timeout(&mut self) {
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
    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>) {
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
    pub(crate) async fn exchange(
        mut self,
        mut request: Request<Outgoing>,
        mut length: Option<u64>,
    ) -> Result<(Response<Incoming>, Self), Failure> {
        self.uses += 1;
        let may_switch = request.headers().contains_key(UPGRADE);
        if let Some(forwarded) = &self.forwarded {
            let before = head_length(&request);
            forwarded.address(&mut request);
            let more = head_length(&request) - before + forwarded.origin.len() as u64;
            length = length.map(|n| n + more);
        }
        let began = Instant::now();
        let mut last_write = began;
        let limit = self.context.write_stall;
        self.watch_unacknowledged(true);
        let (written, read) = (self.meter.written.load(Relaxed), self.meter.read.load(Relaxed));
        self.meter.awaits_head.store(true, Relaxed);
        let mut stall = self.socket.stall(limit);
        let mut acknowledged = pin!(sleep_until(began + limit.unwrap_or_default() + GIVEN_UP_BY));
        let result = {
            let mut sent = written;
            let (meter, socket, watched) = (&self.meter, &self.socket, &mut self.watched);
            let mut answer = pin!(self.sender.send_request(request));
            let (connection, switched) = (&mut self.connection, &mut self.switched);
            poll_fn(|cx| {
                if let Some(driven) = connection
                    && driven.as_mut().poll(cx).is_ready()
                {
                    *switched = connection.take().filter(|_| may_switch);
                }
                let now_sent = meter.written.load(Relaxed);
                if std::mem::replace(&mut sent, now_sent) != now_sent {
                    last_write = Instant::now();
                }
                if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                    return Poll::Ready(Some(answer));
                }
                // Had a byte of it not been acknowledged by now, the system would have given the connection up. What is
                // silent from here on is the API that thinks, or a gap of the network that a connection lives through (U13).
                while let (Some(limit), true, Poll::Ready(())) = (limit, *watched, acknowledged.as_mut().poll(cx)) {
                    let due = last_write + limit + GIVEN_UP_BY;
                    if due > Instant::now() {
                        acknowledged.as_mut().reset(due);
                    } else {
                        *watched = false;
                        socket.limit_unacknowledged(None);
                    }
                }
                stall.poll(cx).map(|()| None)
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
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    self.switch(may_switch).await?;
                    return Ok((response, self));
                }
                self.switched = None;
                if let Some(coding) = unknown_coding(response.headers()) {
                    let why = format!("the response has the transfer coding `{coding}`, which Leeward cannot undo");
                    return Err(Failure::new(Cause::BadResponse, &*why).fact(why, ASK_OPERATOR));
                }
                return Ok((response, self));
            }
            Some(Err(error)) => error,
            None => return Err(self.stalled("the network took no byte of the request")),
        };
        // What fails to be written after the whole request is not of it.
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
            // Ambiguous or too large: the next one would be the same.
            (true, ..) if error.is_parse_too_large() || self.meter.bare_lf.load(Relaxed) => Cause::BadResponse,
            (true, ..) if error.is_parse() => Cause::NotHttp,
            // Nobody has seen anything of a head that broke off.
            (true, ..) => Cause::CutBeforeContent,
            (false, true, _) => Cause::WriteFailed,
            (false, false, true) if last_write.elapsed() > SOON => Cause::LateReset,
            (false, false, true) => Cause::ReusedReset,
            (false, false, false) => Cause::FreshReset,
        };
        if self.meter.bare_lf.load(Relaxed) {
            let says = "a line of the response's head ends in LF alone, which can be read in two ways";
            return Err(Failure::new(cause, describe(&error)).fact(says, ASK_OPERATOR));
        }
        // All of it may have arrived, and only its acknowledgement got lost.
        Err(match unacknowledged {
            None => Failure::new(cause, describe(&error)),
            Some(Failure { detail, .. }) => {
                let peer = self.socket.peer().map_or_else(|| "the API".to_owned(), |address| address.to_string());
                Failure::new(cause, detail).fact(format!("the network takes no more data to {peer}"), SMALLER_MTU)
            }
        })
    }

    /// Drives hyper to its last word, which lets go of the bytes.
    async fn switch(&mut self, asked: bool) -> Result<(), Failure> {
        if !asked {
            let why = "the response switches to another protocol, and nobody has asked for one";
            return Err(Failure::new(Cause::BadResponse, why).fact(why, ASK_OPERATOR));
        }
        if let Some(mut driven) = self.connection.take() {
            poll_fn(|cx| driven.as_mut().poll(cx)).await.ok(); // what broke is seen by whoever reads on
            self.switched = Some(driven);
        }
        // Nothing of the protocol is a request: whoever speaks it may be silent for as long as they like.
        self.disable_user_timeout();
        Ok(())
    }

    /// The bare connection, and what has been read of it, after a response that switched protocols. It has left its pool.
    pub(crate) fn into_switched(self) -> Option<(Blind, Bytes)> {
        let parts = Pin::into_inner(self.switched?).into_parts();
        Some((Blind::new(parts.io.into_inner().io, self.socket), parts.read_buf))
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
        return format!("the response was not valid HTTP ({error})");
    }
    innermost(error)
}
