//! An answer that is still held back when its client must hear something: the head has gone out, pings keep the client
//! waiting, and what breaks off meanwhile is asked for again. What fails for good is told as an event in the dialect.

use super::{Delivery, Gathered, ResponseBuffer};
use crate::{
    proxy::{
        attempts::{Answered, Attempts},
        error,
        relay::{Relay, Source},
        reply::Broken,
        upstream::Failure,
    },
    status::traffic::Outcome,
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

/// What the future leads to: the answer's own body, or words of ours and the end.
enum End {
    Relay(Box<Relay>),
    Words(Bytes),
}

/// The body of an answer whose head went out before its content was let go.
pub(in crate::proxy) struct DeferredBody {
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
    /// Begins with a ping and goes on gathering as the body is polled: no task of its own, and dropping it ends everything.
    pub(in crate::proxy) fn new(buffer: ResponseBuffer, attempts: Attempts) -> Self {
        let (ping, pings) = mpsc::channel(1);
        Self { pings, future: Some(Box::pin(go_on(buffer, attempts, ping))), relay: None }
    }
}

impl Body for DeferredBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
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

/// An error that the API answers instead of a stream is one small object.
const ERROR_BODY: usize = 64 << 10;

async fn go_on(mut buffer: ResponseBuffer, mut attempts: Attempts, pings: mpsc::Sender<Bytes>) -> End {
    let pinger = Pinger { every: attempts.proxy.config.stream.hold_ping, ping: attempts.dialect.ping(), pings };
    pinger.ping();
    loop {
        let failure = match pinger.during(buffer.run()).await {
            Gathered::Commit => return End::Relay(Box::new(buffer.relay(attempts, Outcome::Answered, false))),
            Gathered::Whole => return End::Relay(Box::new(buffer.relay(attempts, Outcome::Answered, true))),
            Gathered::Cut(failure) => failure,
        };
        drop(buffer); // with its connection: the client's request must not run twice at the same time
        buffer = match pinger.during(next(&mut attempts, failure)).await {
            Ok((response, connection)) => {
                let (head, body) = response.into_parts();
                match Delivery::of(&attempts, &head, &body) {
                    delivery if delivery.is_stream() => ResponseBuffer::new(delivery, body, connection, &attempts),
                    _ => return pinger.during(instead(attempts, head.status, Source::new(body, connection))).await,
                }
            }
            Err(failure) => return failed(attempts, failure),
        };
    }
}

async fn next(attempts: &mut Attempts, failure: Failure) -> Result<Answered, Failure> {
    if attempts.wait_before_retry(&failure, None).await { attempts.answer().await } else { Err(failure) }
}

/// Leeward's own error, as the event that the dialect has for it.
fn failed(attempts: Attempts, failure: Failure) -> End {
    let (dialect, number) = (attempts.dialect, attempts.number);
    attempts.fail(&failure);
    End::Words(error::event(failure, dialect, number))
}

/// What came instead of a stream: the API's own error, whose body is what its dialect puts into an error event.
async fn instead(mut attempts: Attempts, status: StatusCode, mut source: Source) -> End {
    let mut body = Vec::new();
    let silence = attempts.proxy.config.stream.stall_alarm;
    while let Ok(Some(Ok(frame))) = timeout(silence, poll_fn(|cx| source.poll_frame(cx))).await {
        body.extend(frame.into_data().unwrap_or_default());
        if body.len() > ERROR_BODY {
            break;
        }
    }
    attempts.ticket.ends_as(Outcome::Declined);
    End::Words(attempts.dialect.error_event(status, &body))
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
