//! One request's attempts: connections taken, the request sent, failures put to `retry`, what was repaired counted.
//!
//! Owns everything that sending it again needs, so that an answer's body can go on trying after its head has gone out.

use super::{
    Proxy,
    body::Payload,
    error::Dialect,
    message::Message,
    retry::{self, Attempt, Kind, Verdict},
    upstream::{Failure, Lease, Upstream, Wire},
};
use crate::status::traffic::{Cause, Outcome, Ticket};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{ACCEPT_ENCODING, RETRY_AFTER},
};
use hyper::body::Incoming;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// An answer whose head is there, and the connection that its body comes on.
pub(super) type Answered = (Response<Incoming>, Wire);

/// A request and its attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    pub(super) proxy: Arc<Proxy>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) ticket: Ticket,
    pub(super) kind: Kind,
    /// How the client wants to be told.
    pub(super) dialect: Dialect,
    /// Attempts made so far.
    pub(super) number: u32,
    /// Time spent waiting for the client or the upstream: not Leeward's own.
    pub(super) waited: Duration,
    /// When the client itself gives up.
    pub(super) deadline: Instant,
    message: Message,
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
    /// Time between failures and the next attempt's connection. What an attempt itself took is no retrying: an answer
    /// that breaks off after minutes is asked for as often as one that breaks off at once.
    retried: Duration,
    patience: Duration,
}

/// Statuses that say "not now" (U12): the API or its edge declined the request.
const DECLINED: [u16; 4] = [502, 503, 504, 529];

impl Attempts {
    /// `patience`: how long the client waits for this request in all.
    pub(super) fn new(
        (proxy, upstream, ticket): (Arc<Proxy>, Arc<Upstream>, Ticket),
        (message, payload): (Message, Payload),
        (kind, dialect): (Kind, Dialect),
        patience: Duration,
        waited: Duration,
    ) -> Self {
        let body = match payload {
            Payload::Held(_) => retry::Body::Held,
            Payload::Stream(_) | Payload::Spent => retry::Body::Untouched,
        };
        let now = Instant::now();
        let client_retries = says_it_retries(&message.headers);
        Self {
            proxy,
            upstream,
            ticket,
            kind,
            dialect,
            number: 0,
            waited,
            deadline: now + patience,
            message,
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
        }
    }

    /// Tries until an answer's head is there.
    ///
    /// # Errors
    /// The failure that is not tried again.
    pub(super) async fn answer(&mut self) -> Result<Answered, Failure> {
        loop {
            self.number += 1;
            self.ticket.trace().begins(self.number);
            match self.once().await {
                Ok(answered) => match self.declined(&answered.0) {
                    Some((failure, wait)) if self.may_retry(&failure, Some(wait)).await => {}
                    _ => return Ok(answered),
                },
                Err(failure) if self.may_retry(&failure, None).await => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// True when the answer to this request could be asked for once more, should it break off before the client has seen any of it.
    pub(super) fn can_be_repaired(&self) -> bool {
        self.body == retry::Body::Held && self.kind != Kind::Once && self.proxy.config.retry.replays > 0
    }

    /// Gemini's stream for whoever does not ask for events: one array, element by element.
    pub(super) fn asks_for_a_stream_of_json(&self) -> bool {
        self.message.target.path().ends_with(":streamGenerateContent")
    }

    /// What the client is told of them: how many, and whether the request was too large to be sent again.
    pub(super) fn header(&self) -> HeaderValue {
        if self.body == retry::Body::Held || self.kind == Kind::Once {
            return HeaderValue::from(self.number);
        }
        HeaderValue::try_from(format!("{}; not-replayable", self.number)).unwrap_or_else(|_| HeaderValue::from(self.number))
    }

    /// An answer that is to be gathered must be readable: pings cannot stand in a compressed stream.
    pub(super) fn ask_for_plain_text(&mut self) {
        if self.message.headers.contains_key(ACCEPT_ENCODING) {
            self.message.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
    }

    /// Asks whether the request is tried again after this failure; when it is, counts it and waits out the pause.
    pub(super) async fn may_retry(&mut self, failure: &Failure, retry_after: Option<Duration>) -> bool {
        let failed = *self.failed.get_or_insert_with(Instant::now);
        let attempt = Attempt {
            number: self.number,
            replays: self.replays,
            cause: failure.cause,
            body: self.body,
            kind: self.kind,
            client_retries: self.client_retries,
            elapsed: self.began.elapsed(),
            retrying: self.retried + failed.elapsed(),
            deadline: self.patience,
            last_pause: self.pause,
            retry_after,
        };
        let shared = &self.proxy.shared;
        let verdict = retry::decide(&attempt, &self.proxy.config.retry, || shared.may_replay(), fastrand::f64());
        let Verdict::Retry { after, fresh, replay } = verdict else { return false };
        self.ticket.retries(failure.cause, self.number, replay);
        if replay {
            self.replays += 1;
            shared.traffic.replay(self.kind == Kind::Inference && failure.cause == Cause::FreshReset);
        }
        tracing::debug!(origin = %self.upstream.origin.place, cause = failure.cause.as_str(), attempt = self.number, "trying again: {}", failure.detail);
        // Once a fresh connection is due it stays due, also when dialling it fails.
        (self.fresh, self.pause) = (self.fresh || fresh, after);
        if !after.is_zero() {
            let waiting = Instant::now();
            tokio::time::sleep(after).await;
            self.waited += waiting.elapsed();
        }
        true
    }

    /// The request has failed for good: counted and logged; the client is told by the caller.
    pub(super) fn fail(mut self, failure: &Failure) {
        self.ticket.ends_as(Outcome::Failed);
        self.ticket.pass_on(failure.cause, self.number);
        tracing::warn!(origin = %self.upstream.origin.place, cause = failure.cause.as_str(), attempts = self.number, "passed on: {}", failure.detail);
    }

    /// One attempt: a connection, the request, the response's head.
    async fn once(&mut self) -> Result<Answered, Failure> {
        let waiting = Instant::now();
        let limit = self.proxy.config.retry.total.min(self.patience / 2);
        let give_up = match self.failed {
            Some(failed) => failed + limit.saturating_sub(self.retried),
            // The first attempt may take what a connection takes, also where nothing is tried again (`retry.total = "0s"`).
            None => {
                let connect = &self.proxy.config.connect;
                self.began + limit.max(connect.dns_timeout + connect.timeout + connect.tls_timeout)
            }
        };
        let place = &self.upstream.origin.place;
        let checkout = self.upstream.origin.checkout(self.fresh, self.began, self.deadline.min(give_up));
        let Lease { wire, stale, parked } = checkout.await;
        self.waited += waiting.elapsed();
        for _ in 0..stale {
            self.ticket.absorb(Cause::StalePooled, self.number);
        }
        let mut wire = wire?;
        self.retried += self.failed.take().map_or(Duration::ZERO, |at| at.elapsed());
        if parked {
            self.ticket.absorb(Cause::CircuitOpen, self.number);
        }
        for cause in wire.take_absorbed() {
            self.ticket.absorb(cause, self.number);
        }
        self.proxy.shared.traffic.exchange(wire.will_reuse());
        self.ticket.trace().sent(wire.will_reuse());
        let Some(outgoing) = self.payload.take() else {
            return Err(Failure {
                cause: Cause::WriteFailed,
                detail: "the request's body was streamed and cannot be sent twice".into(),
            });
        };
        if self.body == retry::Body::Untouched {
            self.body = retry::Body::Spent;
        }
        let (request, length) = self.message.with(outgoing);
        let waiting = Instant::now();
        let answered = timeout_at(self.deadline, wire.exchange(request, length)).await;
        self.waited += waiting.elapsed();
        if matches!(answered, Ok(Ok(_))) {
            self.ticket.trace().answered();
        }
        answered.unwrap_or_else(|_| {
            let detail = format!("no response from {place} before the agent's own deadline");
            Err(Failure { cause: Cause::ResponseTimeout, detail })
        })
    }

    /// An answer that says "not now, but in so many seconds", where the config wants that waited for.
    fn declined(&self, response: &Response<Incoming>) -> Option<(Failure, Duration)> {
        let (status, headers) = (response.status().as_u16(), response.headers());
        let wanted = self.proxy.config.retry.server_errors && DECLINED.contains(&status);
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
