//! One request's attempts, in the only retry loop: connections taken, the request sent, responses buffered as far as they
//! must be, failures put to `retry`, what was repaired counted.
//!
//! The loop serves before the response's head has gone out (`request`) and after (`deferred`). Passes nothing on itself.

use super::{
    context::RequestContext,
    delivery::{Delivery, Facts},
    response_buffer::{Buffered, ResponseBuffer},
    retry::{self, Attempt, Kind, Verdict},
    source::Source,
};
use crate::{
    message::{Failure, Payload, RequestHead},
    status::faults::{Cause, Outcome},
    upstream::{Connection, Lease},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{ACCEPT_ENCODING, RETRY_AFTER},
    response,
};
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A request and its attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    pub(super) context: RequestContext,
    /// Attempts made so far.
    pub(super) number: u32,
    /// Time spent waiting for the client or the upstream: not Leeward's own.
    pub(super) waited: Duration,
    /// When the client itself gives up.
    deadline: Instant,
    head: RequestHead,
    payload: Payload,
    body: retry::Body,
    client_retries: bool,
    replays: u32,
    /// The next attempt needs a connection that has served nobody.
    fresh: bool,
    pause: Duration,
    began: Instant,
    /// When the last attempt failed, until the next one has a connection.
    failed: Option<Instant>,
    /// Time between failures and the next attempt's connection. What an attempt itself took is no retrying: a response
    /// that breaks off after minutes is asked for as often as one that breaks off at once.
    retried: Duration,
    patience: Duration,
    /// When the client must hear something of a stream that is still held back.
    speak_by: Option<Instant>,
    /// The client has the response's head: it is kept waiting with pings for as long as it takes.
    head_sent: bool,
}

/// A response that may go to its client, as far as it has come.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) head: response::Parts,
    /// It came on a connection that had served before.
    pub(super) reused: bool,
    pub(super) body: ArrivedBody,
}

/// Where the body of such a response stands.
#[derive(Debug)]
pub(super) enum ArrivedBody {
    /// It passes as it comes.
    Stream(Source),
    /// What has come may be passed on, and the rest as it comes.
    Begun(ResponseBuffer),
    /// It is there whole.
    Whole(ResponseBuffer),
    /// A stream that is still held back; its client must hear something meanwhile.
    Waiting(ResponseBuffer),
}

/// A response that is being buffered.
#[derive(Debug)]
pub(super) struct Buffering {
    pub(super) head: response::Parts,
    pub(super) reused: bool,
    pub(super) buffer: ResponseBuffer,
}

/// An attempt that failed.
struct Failed {
    failure: Failure,
    /// The response that says "not now", and how long it asks to wait.
    declined: Option<(Box<Arrived>, Duration)>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, declined: None }
    }
}

/// Statuses that say "not now" (U12): the API or its edge declined the request.
const DECLINED: [u16; 4] = [502, 503, 504, 529];

impl Attempts {
    /// `patience`: how long the client waits for this request in all; `waited`: how long Leeward has waited for its body.
    pub(super) fn new(
        context: RequestContext,
        (head, payload): (RequestHead, Payload),
        patience: Duration,
        waited: Duration,
    ) -> Self {
        let body = match payload {
            Payload::Held(_) => retry::Body::Held,
            Payload::Stream(_) | Payload::Spent => retry::Body::Untouched,
        };
        let now = Instant::now();
        let client_retries = says_it_retries(&head.headers);
        Self {
            context,
            number: 0,
            waited,
            deadline: now + patience,
            head,
            payload,
            body,
            client_retries,
            replays: 0,
            fresh: false,
            pause: Duration::ZERO,
            began: now,
            failed: None,
            retried: Duration::ZERO,
            patience,
            speak_by: None,
            head_sent: false,
        }
    }

    /// Tries until there is a response that its client may see, as far as that takes; goes on with `begun` where that is given.
    ///
    /// # Errors
    /// The failure that is not tried again.
    pub(super) async fn next(&mut self, mut begun: Option<Buffering>) -> Result<Arrived, Failure> {
        loop {
            let attempt = match begun.take() {
                Some(buffering) => self.buffer(buffering).await.map_err(Failed::from),
                None => self.attempt().await,
            };
            let Failed { failure, declined } = match attempt {
                Ok(arrived) => return Ok(arrived),
                Err(failed) => failed,
            };
            if !self.wait_before_retry(&failure, declined.as_ref().map(|(_, wait)| *wait)).await {
                return declined.map_or(Err(failure), |(arrived, _)| Ok(*arrived));
            }
        }
    }

    /// One attempt, from a connection to a response that may go to its client.
    async fn attempt(&mut self) -> Result<Arrived, Failed> {
        self.number += 1;
        self.context.ticket.trace().begins(self.number);
        let (response, connection) = self.send().await?;
        let declined = self.declined(&response);
        let reused = connection.is_reused();
        let (head, body) = response.into_parts();
        let delivery = Delivery::of(self.facts(), &head, &body);
        let source = Source::new(body, connection);
        // After the head of a stream has gone out, what is no stream is told as an event, and needs no buffer.
        if delivery == Delivery::Stream || (self.head_sent && !delivery.is_stream()) {
            let arrived = Arrived { head, reused, body: ArrivedBody::Stream(source) };
            return match declined {
                Some((failure, wait)) => Err(Failed { failure, declined: Some((Box::new(arrived), wait)) }),
                None => Ok(arrived),
            };
        }
        let buffer = ResponseBuffer::new(delivery, source, &self.context);
        Ok(self.buffer(Buffering { head, reused, buffer }).await?)
    }

    /// Buffers a response until it may be passed on, or its client must hear something.
    async fn buffer(&mut self, buffering: Buffering) -> Result<Arrived, Failure> {
        let Buffering { head, reused, mut buffer } = buffering;
        let delivery = buffer.delivery();
        let waiting = Instant::now();
        let ended = if self.head_sent {
            Some(buffer.run().await)
        } else {
            let until = match delivery {
                Delivery::BufferBody => self.deadline,
                _ => *self.speak_by.get_or_insert(waiting + self.context.exchange.config.stream.commit_wait),
            };
            timeout_at(until, buffer.run()).await.ok()
        };
        self.waited += waiting.elapsed();
        let body = match ended {
            // The buffer goes with its connection: a request must not run twice at the same time.
            Some(Buffered::Cut(failure)) => return Err(failure),
            Some(Buffered::Whole) => ArrivedBody::Whole(buffer),
            Some(Buffered::Commit) => ArrivedBody::Begun(buffer),
            None if delivery.is_stream() => ArrivedBody::Waiting(buffer),
            None => ArrivedBody::Begun(buffer),
        };
        Ok(Arrived { head, reused, body })
    }

    fn facts(&self) -> Facts {
        let config = &self.context.exchange.config;
        Facts {
            repairable: self.body == retry::Body::Held && self.context.kind != Kind::NotReplayable && config.retry.replays > 0,
            inference: self.context.kind == Kind::Inference,
            buffers_whole: self.context.buffers_whole(),
            // Gemini's stream for whoever does not ask for events: one array, element by element.
            asks_for_json_stream: self.head.target.path().ends_with(":streamGenerateContent"),
            commit_bytes: config.stream.commit_bytes,
        }
    }

    /// The client has the head of a response: from here on it is kept waiting with pings.
    pub(super) fn head_is_sent(&mut self) {
        self.head_sent = true;
    }

    /// What the client learns of them: how many, and whether the request was too large to be sent again.
    pub(super) fn header(&self) -> HeaderValue {
        if self.body == retry::Body::Held || self.context.kind == Kind::NotReplayable {
            return HeaderValue::from(self.number);
        }
        HeaderValue::try_from(format!("{}; not-replayable", self.number)).unwrap_or_else(|_| HeaderValue::from(self.number))
    }

    /// A response that is to be buffered must be readable: pings cannot stand in a compressed stream.
    pub(super) fn ask_for_plain_text(&mut self) {
        if self.head.headers.contains_key(ACCEPT_ENCODING) {
            self.head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
    }

    /// Asks whether the request is tried again after this failure; when it is, counts it and waits out the pause.
    async fn wait_before_retry(&mut self, failure: &Failure, retry_after: Option<Duration>) -> bool {
        let failed = *self.failed.get_or_insert_with(Instant::now);
        let attempt = Attempt {
            number: self.number,
            replays: self.replays,
            cause: failure.cause,
            body: self.body,
            kind: self.context.kind,
            client_retries: self.client_retries,
            elapsed: self.began.elapsed(),
            retrying: self.retried + failed.elapsed(),
            deadline: self.patience,
            last_pause: self.pause,
            retry_after,
        };
        let exchange = &self.context.exchange;
        let verdict = retry::decide(&attempt, &exchange.config.retry, || exchange.budget.withdraw(), fastrand::f64());
        let Verdict::Retry { after, fresh, replay } = verdict else { return false };
        self.context.ticket.retries(failure.cause, self.number, replay);
        if replay {
            self.replays += 1;
            exchange.traffic.replay(self.context.kind == Kind::Inference && failure.cause == Cause::FreshReset);
        }
        tracing::debug!(origin = %self.context.upstream.origin.endpoint, cause = failure.cause.as_str(), attempt = self.number, "trying again: {}", failure.detail);
        // Once a fresh connection is due it stays due, also when dialling it fails.
        (self.fresh, self.pause) = (self.fresh || fresh, after);
        if !after.is_zero() {
            let waiting = Instant::now();
            tokio::time::sleep(after).await;
            self.waited += waiting.elapsed();
        }
        true
    }

    /// No more attempts: the request, for whoever passes the response on, and how many attempts it took.
    pub(super) fn into_context(self) -> (RequestContext, u32) {
        (self.context, self.number)
    }

    /// The request has failed for good: counted and logged; the client is told by the caller.
    pub(super) fn fail(mut self, failure: &Failure) {
        self.context.ticket.ends_as(Outcome::Failed);
        self.context.ticket.failed_with(failure.cause, self.number);
        tracing::warn!(origin = %self.context.upstream.origin.endpoint, cause = failure.cause.as_str(), attempts = self.number, "failed: {}", failure.detail);
    }

    /// Gets a connection, sends the request, waits for the response's head.
    async fn send(&mut self) -> Result<(Response<Incoming>, Connection), Failure> {
        let waiting = Instant::now();
        let limit = self.context.exchange.config.retry.total.min(self.patience / 2);
        let give_up = match self.failed {
            Some(failed) => failed + limit.saturating_sub(self.retried),
            // The first attempt may take what a connection takes, also where nothing is tried again (`retry.total = "0s"`).
            None => {
                let connect = &self.context.exchange.config.connect;
                self.began + limit.max(connect.dns_timeout + connect.timeout + connect.tls_timeout)
            }
        };
        let endpoint = &self.context.upstream.origin.endpoint;
        let checkout = self.context.upstream.origin.checkout(self.fresh, self.began, self.deadline.min(give_up));
        let Lease { connection, stale, parked } = checkout.await;
        self.waited += waiting.elapsed();
        for _ in 0..stale {
            self.context.ticket.count_retried(Cause::StalePooled, self.number);
        }
        let mut connection = connection?;
        self.retried += self.failed.take().map_or(Duration::ZERO, |at| at.elapsed());
        if parked {
            self.context.ticket.count_retried(Cause::CircuitOpen, self.number);
        }
        for cause in connection.take_dial_faults() {
            self.context.ticket.count_retried(cause, self.number);
        }
        self.context.exchange.traffic.exchange(connection.will_reuse());
        self.context.ticket.trace().sent(connection.will_reuse());
        let Some(outgoing) = self.payload.take() else {
            return Err(Failure {
                cause: Cause::WriteFailed,
                detail: "the request's body was streamed and cannot be sent twice".into(),
            });
        };
        if self.body == retry::Body::Untouched {
            self.body = retry::Body::Spent;
        }
        let (request, length) = self.head.with(outgoing);
        let waiting = Instant::now();
        let answered = timeout_at(self.deadline, connection.exchange(request, length)).await;
        self.waited += waiting.elapsed();
        if matches!(answered, Ok(Ok(_))) {
            self.context.ticket.trace().answered();
        }
        answered.unwrap_or_else(|_| {
            let detail = format!("no response from {endpoint} before the agent's own deadline");
            Err(Failure { cause: Cause::ResponseTimeout, detail })
        })
    }

    /// A response that says "not now, but in so many seconds", where the config wants that waited for.
    fn declined(&self, response: &Response<Incoming>) -> Option<(Failure, Duration)> {
        let (status, headers) = (response.status().as_u16(), response.headers());
        let wanted = self.context.exchange.config.retry.server_errors && DECLINED.contains(&status);
        let final_word = headers.get("x-should-retry").is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"false"));
        if !wanted || final_word {
            return None;
        }
        let failure = Failure { cause: Cause::Declined, detail: format!("it answered {status}") };
        Some((failure, seconds(headers, RETRY_AFTER)?))
    }
}

/// The SDKs count their own retries in every request; Claude Code's loop does not, so the budget is the real bound.
fn says_it_retries(headers: &HeaderMap) -> bool {
    headers
        .get("x-stainless-retry-count")
        .and_then(|v| v.to_str().ok()?.trim().parse::<u32>().ok())
        .is_some_and(|count| count > 0)
}

/// A header that holds seconds, possibly with a fraction; a day at most.
pub(super) fn seconds(headers: &HeaderMap, name: impl Into<HeaderName>) -> Option<Duration> {
    let seconds: f64 = headers.get(name.into())?.to_str().ok()?.trim().parse().ok()?;
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds.min(86_400.0)).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_own_retries_are_heard() {
        for (value, says) in [("0", false), ("1", true), (" 2 ", true), ("-1", false), ("x", false), ("", false)] {
            let headers: HeaderMap =
                [(HeaderName::from_static("x-stainless-retry-count"), HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(says_it_retries(&headers), says, "{value:?}");
        }
        assert!(!says_it_retries(&HeaderMap::new()));
    }

    #[test]
    fn seconds_are_read_with_care() {
        for (value, wanted) in
            [("3", Some(3_000)), ("0.5", Some(500)), ("1e99", Some(86_400_000)), ("-1", None), ("NaN", None), ("soon", None)]
        {
            let headers: HeaderMap = [(RETRY_AFTER, HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(seconds(&headers, RETRY_AFTER), wanted.map(Duration::from_millis), "{value:?}");
        }
    }
}
