//! A response that is still held back when its client must hear something: the head has gone out, pings keep the client
//! waiting, and what breaks off meanwhile is asked for again. What fails for good is reported as an event in the dialect.

use super::{
    arrived::{Arrived, ArrivedBody, Buffering},
    attempts::Attempts,
    error::{self, Error},
    relay::Relay,
    source::Source,
};
use crate::{
    message::{BoxError, Failure},
    status::faults::{Cause, Outcome},
};
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

/// What the future leads to: the response's own body, or words of ours and the end.
enum End {
    Relay(Box<Relay>),
    Words(Bytes),
}

/// The body of a response whose head went out before its content was let go.
pub(crate) struct DeferredBody {
    pings: mpsc::Receiver<Bytes>,
    future: Option<Pin<Box<dyn Future<Output = End> + Send>>>,
    relay: Option<Box<Relay>>,
}

impl std::fmt::Debug for DeferredBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeferredBody").field("buffer", &self.future.is_some()).finish_non_exhaustive()
    }
}

impl DeferredBody {
    /// Begins with a ping and goes on buffering as the body is polled: no task of its own, and dropping it ends everything.
    pub(super) fn new(buffering: Buffering, attempts: Attempts) -> Self {
        let (ping, pings) = mpsc::channel(1);
        Self { pings, future: Some(Box::pin(go_on(buffering, attempts, ping))), relay: None }
    }
}

impl Body for DeferredBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(relay) = &mut this.relay {
            return Pin::new(relay.as_mut()).poll_frame(cx);
        }
        let Some(future) = &mut this.future else { return Poll::Ready(None) };
        let end = match future.as_mut().poll(cx) {
            Poll::Ready(end) => end,
            Poll::Pending => {
                let ping = std::task::ready!(this.pings.poll_recv(cx));
                return Poll::Ready(ping.map(|p| Ok(Frame::data(p))));
            }
        };
        this.future = None;
        match end {
            End::Words(words) => Poll::Ready(Some(Ok(Frame::data(words)))),
            End::Relay(relay) => Pin::new(this.relay.insert(relay).as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.future.is_none() && self.relay.as_ref().is_none_or(|r| r.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// An error that the API sends instead of a stream is one small object.
const ERROR_BODY: usize = 64 << 10;

async fn go_on(buffering: Buffering, mut attempts: Attempts, pings: mpsc::Sender<Bytes>) -> End {
    attempts.head_is_sent();
    let every = attempts.context.exchange.config.stream.hold_ping;
    let pinger = Pinger { every, ping: attempts.context.dialect().ping(), pings };
    pinger.ping();
    let Arrived { head, body, .. } = match pinger.during(attempts.next(Some(buffering))).await {
        Ok(arrived) => arrived,
        Err(failure) => return failed(attempts, &failure),
    };
    let (buffer, whole) = match body {
        ArrivedBody::Whole(buffer) => (buffer, true),
        ArrivedBody::Begun(buffer) | ArrivedBody::Waiting(buffer) => (buffer, false),
        // No inference asks for another protocol, and only inferences come here.
        ArrivedBody::Switched(..) => {
            return failed(attempts, &Failure::new(Cause::BadResponse, "it switched protocols, and nobody had asked for that"));
        }
        ArrivedBody::Stream(source) => return pinger.during(instead(attempts, head.status, source)).await,
    };
    End::Relay(Box::new(Relay::buffered(buffer, attempts.into_context(), Outcome::Answered, whole)))
}

/// Leeward's own error, as the event that the dialect has for it.
fn failed(attempts: Attempts, failure: &Failure) -> End {
    let dialect = attempts.context.dialect();
    let error = Error::of(failure, &attempts.context.upstream, attempts.number);
    attempts.fail(failure);
    End::Words(error::event(&error, dialect))
}

/// What came instead of a stream: the API's own error, whose body is what its dialect puts into an error event.
async fn instead(mut attempts: Attempts, status: StatusCode, mut source: Source) -> End {
    let mut body = Vec::new();
    let silence = attempts.context.exchange.config.stream.stall_alarm;
    while let Ok(Some(Ok(frame))) = timeout(silence, poll_fn(|cx| source.poll_frame(cx))).await {
        body.extend(frame.into_data().unwrap_or_default());
        if body.len() > ERROR_BODY {
            break;
        }
    }
    attempts.context.ticket.ends_as(Outcome::Declined);
    End::Words(attempts.context.dialect().error_event(status, &body))
}

/// Keeps the client waiting.
struct Pinger {
    every: Duration,
    ping: Bytes,
    pings: mpsc::Sender<Bytes>,
}

impl Pinger {
    fn ping(&self) {
        // A ping that the client has not read yet is enough.
        self.pings.try_send(self.ping.clone()).ok();
    }

    async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = sleep(self.every) => self.ping(),
            }
        }
    }
}
