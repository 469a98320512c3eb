//! One request's life on its way to an upstream: body read, attempts made, answer handed to `relay` or error to `error`.
//!
//! When the client leaves, hyper drops this future, and with it the upstream connection: that is the cancellation.

use super::{
    Proxy,
    body::{self, Caps, Outgoing, Payload, ReadError},
    error::{self, Dialect, Error},
    headers,
    relay::Relay,
    reply::Reply,
    retry::{self, Attempt, Verdict},
    route,
    upstream::{Failure, Lease, Upstream, head_length},
};
use crate::status::traffic::{Cause, Outcome, Ticket};
use http::{
    Extensions, HeaderMap, HeaderValue, Method, Request, Response, Uri, Version,
    header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING},
};
use hyper::body::{Body as _, Incoming};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How long agents may keep an idle connection to us; undici believes it, Bun keeps 300 s whatever it says.
const KEEP_ALIVE: HeaderValue = HeaderValue::from_static("timeout=300");

/// Sends a request to an upstream and answers with whatever comes of it.
pub(super) async fn forward(
    proxy: &Proxy,
    upstream: Arc<Upstream>,
    rest: &str,
    request: Request<Incoming>,
    mut ticket: Ticket,
) -> Response<Reply> {
    let (parts, incoming) = request.into_parts();
    let path = rest.split('?').next().unwrap_or_default();
    let dialect = Dialect::of(path, &parts.headers);
    proxy.shared.budget.deposit();
    ticket.toward(upstream.traffic.clone());
    if let Some(agent) = headers::agent_name(&parts.headers) {
        ticket.from_agent(agent);
    }
    let refuse = |mut ticket: Ticket, error: Error| {
        ticket.ends_as(Outcome::Refused);
        error::respond(&error, dialect, 0)
    };
    let (Some(target), Some(authority)) = (upstream.target(rest), upstream.origin.place.authority()) else {
        return refuse(ticket, Error::BadTarget);
    };
    let limits = &proxy.config.limits;
    let caps = Caps { body: limits.body_bytes, replay_body: limits.replay_body_bytes, replay_total: limits.replay_total_bytes };
    let deadline = client_deadline(&parts.headers).unwrap_or(proxy.config.response_timeout);
    let reading = Instant::now();
    let payload = match body::read(incoming, &proxy.shared.held, caps).await {
        Ok(payload) => payload,
        Err(why) => return refuse(ticket, why.into()),
    };
    let fault = payload.client_fault();
    let mut message = Message {
        method: parts.method,
        target,
        headers: headers::strip(&parts.headers, &[EXPECT, super::guard::CLIENT_TOKEN]),
        extensions: parts.extensions,
    };
    if let Ok(host) = HeaderValue::try_from(authority.as_str()) {
        message.headers.insert(HOST, host);
    }
    let mut attempts = Attempts {
        proxy,
        upstream: &upstream,
        replayable: route::is_replayable(&message.method, path),
        message,
        number: 0,
        replays: 0,
        ticket: &ticket,
        began: Instant::now(),
        deadline: Instant::now() + deadline,
        limit: proxy.config.retry.total.min(deadline / 2),
        waited: reading.elapsed(),
    };
    let result = attempts.run(payload).await;
    let (number, waited) = (attempts.number, attempts.waited);
    match result {
        Ok((response, wire)) => {
            let own = ticket.elapsed().saturating_sub(waited);
            ticket.first_byte(own);
            let reused = wire.is_reused();
            let (mut parts, incoming) = response.into_parts();
            parts.headers = headers::strip(&parts.headers, &[]);
            parts.headers.insert("x-leeward-attempts", HeaderValue::from(number));
            parts.headers.insert("x-leeward-connection", HeaderValue::from_static(if reused { "reused" } else { "fresh" }));
            if let Ok(timing) = HeaderValue::try_from(format!("leeward;dur={:.3}", own.as_secs_f64() * 1e3)) {
                parts.headers.append("server-timing", timing);
            }
            parts.headers.insert("keep-alive", KEEP_ALIVE);
            let outcome = if parts.status.as_u16() < 400 { Outcome::Answered } else { Outcome::Declined };
            let relay = Relay::new(incoming, wire, upstream.origin.clone(), number, ticket, outcome);
            Response::from_parts(parts, Reply::Relay(Box::new(relay)))
        }
        Err(failure) => {
            if let Some(why) = fault.take() {
                return refuse(ticket, why.into());
            }
            ticket.ends_as(Outcome::Failed);
            ticket.pass_on(failure.cause, number);
            tracing::warn!(origin = %upstream.origin.place, cause = failure.cause.as_str(), attempts = number, "passed on: {}", failure.detail);
            let error = match failure.cause {
                Cause::CircuitOpen => Error::Parked(failure, upstream.origin.next_dial_in()),
                _ => Error::Upstream(failure),
            };
            error::respond(&error, dialect, number)
        }
    }
}

impl From<ReadError> for Error {
    fn from(why: ReadError) -> Self {
        match why {
            ReadError::TooLarge => Self::BodyTooLarge,
            ReadError::Client(why) => Self::BodyBroken(why),
        }
    }
}

/// The client's own patience: the SDKs state it in seconds.
fn client_deadline(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get("x-stainless-timeout")?.to_str().ok()?.trim().parse().ok()?;
    (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds.min(86_400.0)).ok())?
}

/// A request without its body, as it goes out.
struct Message {
    method: Method,
    target: Uri,
    headers: HeaderMap,
    /// Holds the spelling of the header names, which hyper writes again.
    extensions: Extensions,
}

impl Message {
    /// The request with a body, and its length on the wire where that is known.
    fn with(&self, body: Outgoing) -> (Request<Outgoing>, Option<u64>) {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = self.headers.clone();
        *request.extensions_mut() = self.extensions.clone();
        let body_length = match request.body() {
            Outgoing::Held { held, .. } if held.has_trailers() => {
                request.headers_mut().remove(CONTENT_LENGTH);
                request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                None
            }
            Outgoing::Held { held, .. } => {
                let length = held.len();
                if length > 0 && !request.headers().contains_key(CONTENT_LENGTH) {
                    request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
                }
                Some(length)
            }
            // Without this hyper would send a GET without its body.
            Outgoing::Stream(_) if request.body().size_hint().exact().is_none() => {
                request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                None
            }
            Outgoing::Stream(_) => None,
        };
        let length = body_length.map(|n| head_length(&request) + n);
        (request, length)
    }
}

/// The attempts of one request.
struct Attempts<'a> {
    proxy: &'a Proxy,
    upstream: &'a Upstream,
    replayable: bool,
    message: Message,
    number: u32,
    replays: u32,
    ticket: &'a Ticket,
    began: Instant,
    /// When the client itself gives up.
    deadline: Instant,
    /// How long retrying may take in all.
    limit: Duration,
    /// Time spent waiting for the client or the upstream: not Leeward's own.
    waited: Duration,
}

impl Attempts<'_> {
    async fn run(&mut self, mut payload: Payload) -> Result<(Response<Incoming>, super::upstream::Wire), Failure> {
        let (mut fresh, mut pause) = (false, Duration::ZERO);
        let mut state = match payload {
            Payload::Held(_) => retry::Body::Held,
            Payload::Stream(_) | Payload::Spent => retry::Body::Untouched,
        };
        loop {
            self.number += 1;
            let failure = match self.once(&mut payload, &mut state, fresh).await {
                Ok(answered) => return Ok(answered),
                Err(failure) => failure,
            };
            let attempt = Attempt {
                number: self.number,
                replays: self.replays,
                cause: failure.cause,
                body: state,
                replayable: self.replayable,
                idempotent: self.message.method.is_safe(),
                elapsed: self.began.elapsed(),
                limit: self.limit,
                last_pause: pause,
            };
            let shared = &self.proxy.shared;
            match retry::decide(&attempt, &self.proxy.config.retry, || shared.may_replay(), fastrand::f64()) {
                Verdict::Pass => return Err(failure),
                Verdict::Retry { after, fresh: on_fresh, replay } => {
                    self.ticket.absorb(failure.cause, self.number);
                    if replay {
                        self.replays += 1;
                        shared.traffic.replay(failure.cause == Cause::FreshReset);
                    }
                    tracing::debug!(origin = %self.upstream.origin.place, cause = failure.cause.as_str(), attempt = self.number, "trying again: {}", failure.detail);
                    // Once a fresh connection is due it stays due, also when dialling it fails.
                    (fresh, pause) = (fresh || on_fresh, after);
                    if !after.is_zero() {
                        tokio::time::sleep(after).await;
                    }
                }
            }
        }
    }

    /// One attempt: a connection, the request, the response's head.
    async fn once(
        &mut self,
        payload: &mut Payload,
        state: &mut retry::Body,
        fresh: bool,
    ) -> Result<(Response<Incoming>, super::upstream::Wire), Failure> {
        let traffic = &self.proxy.shared.traffic;
        let waiting = Instant::now();
        // The first attempt may take what a connection takes, also where nothing is tried again (`retry.total = "0s"`).
        let connect = &self.proxy.config.connect;
        let first = connect.dns_timeout + connect.timeout + connect.tls_timeout;
        let limit = if self.number == 1 { self.limit.max(first) } else { self.limit };
        let give_up = self.deadline.min(self.began + limit);
        let Lease { wire, stale, parked } = self.upstream.origin.checkout(fresh, self.began, give_up).await;
        self.waited += waiting.elapsed();
        for _ in 0..stale {
            self.ticket.absorb(Cause::StalePooled, self.number);
        }
        let wire = wire?;
        if parked {
            self.ticket.absorb(Cause::CircuitOpen, self.number);
        }
        traffic.exchange(wire.will_reuse());
        let Some(outgoing) = payload.take() else {
            return Err(Failure {
                cause: Cause::WriteFailed,
                detail: "the request's body was streamed and cannot be sent twice".into(),
            });
        };
        if *state == retry::Body::Untouched {
            *state = retry::Body::Spent;
        }
        let (request, length) = self.message.with(outgoing);
        let waiting = Instant::now();
        let answered = timeout_at(self.deadline, wire.exchange(request, length)).await;
        self.waited += waiting.elapsed();
        answered.unwrap_or_else(|_| {
            let detail = format!("no response from {} before the agent's own deadline", self.upstream.origin.place);
            Err(Failure { cause: Cause::ResponseTimeout, detail })
        })
    }
}
