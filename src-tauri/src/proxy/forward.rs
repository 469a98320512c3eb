//! One request's life on its way to an upstream: body read, attempts made, answer handed to `relay` or error to `error`.
//!
//! When the client leaves, hyper drops this future, and with it the upstream connection: that is the cancellation.

use super::{
    Proxy,
    attempts::{self, Attempts},
    body::{self, Caps, ReadError},
    error::{self, Dialect, Error},
    headers,
    hold::{self, DeferredBody, Delivery, Gathered, ResponseBuffer},
    message::Message,
    model,
    relay::{Relay, Source},
    reply::Reply,
    retry::Kind,
    route,
    upstream::{Failure, Upstream},
};
use crate::status::traffic::{Cause, Outcome, Ticket};
use http::{
    HeaderName, HeaderValue, Request, Response,
    header::{CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION},
    response,
};
use hyper::body::{Body as _, Incoming};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

const TIMEOUT: HeaderName = HeaderName::from_static("x-stainless-timeout");
/// How long agents may keep an idle connection to us; undici believes it, Bun keeps 300 s whatever it says.
const KEEP_ALIVE: HeaderValue = HeaderValue::from_static("timeout=300");

/// Sends a request to an upstream and answers with whatever comes of it.
pub(super) async fn forward(
    proxy: &Arc<Proxy>,
    upstream: Arc<Upstream>,
    rest: &str,
    request: Request<Incoming>,
    ticket: Ticket,
) -> Response<Reply> {
    let trace = ticket.trace().clone();
    let response = pass(proxy, upstream, rest, request, ticket).await;
    trace.status(response.status().as_u16());
    response
}

async fn pass(
    proxy: &Arc<Proxy>,
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
    let (Some(target), Some(host)) = (upstream.target(rest), upstream.host.clone()) else {
        return refuse(ticket, Error::BadTarget);
    };
    let limits = &proxy.config.limits;
    let caps = Caps { body: limits.body_bytes, replay_body: limits.replay_body_bytes, replay_total: limits.replay_total_bytes };
    // The client's own patience: the SDKs state it.
    let patience = attempts::seconds(&parts.headers, TIMEOUT).filter(|p| !p.is_zero()).unwrap_or(proxy.config.response_timeout);
    let reading = Instant::now();
    let payload = match body::read(incoming, &proxy.shared.held, caps, ticket.trace()).await {
        Ok(payload) => payload,
        Err(why) => return refuse(ticket, why.into()),
    };
    let fault = payload.client_fault();
    let kind = route::kind(&parts.method, path);
    if kind == Kind::Inference
        && let Some(model) = model::name(path, &payload)
    {
        ticket.trace().model(model);
    }
    let mut message = Message {
        method: parts.method,
        target,
        headers: headers::strip(&parts.headers, &[EXPECT, PROXY_AUTHORIZATION, super::guard::CLIENT_TOKEN]),
        extensions: parts.extensions,
    };
    message.headers.insert(HOST, host);
    let request = (proxy.clone(), upstream, ticket);
    let mut attempts = Attempts::new(request, (message, payload), (kind, dialect), patience, reading.elapsed());
    if kind == Kind::Inference && hold::holds(&attempts) {
        attempts.ask_for_plain_text();
    }
    match answer(attempts).await {
        Ok(response) => response,
        Err((attempts, failure)) => {
            if let Some(why) = fault.take() {
                return refuse(attempts.ticket, why.into());
            }
            let (number, next) = (attempts.number, attempts.upstream.origin.next_dial_in());
            attempts.fail(&failure);
            let error = match failure.cause {
                Cause::CircuitOpen => Error::Parked(failure, next),
                _ => Error::Upstream(failure),
            };
            error::respond(&error, dialect, number)
        }
    }
}

/// Gets an answer that its client may see, as far as that takes; what breaks off before is asked for again.
async fn answer(mut attempts: Attempts) -> Result<Response<Reply>, (Box<Attempts>, Failure)> {
    let mut speak_by = None;
    loop {
        let (response, connection) = match attempts.answer().await {
            Ok(answered) => answered,
            Err(failure) => return Err((Box::new(attempts), failure)),
        };
        let reused = connection.is_reused();
        let (head, body) = response.into_parts();
        let delivery = Delivery::of(&attempts, &head, &body);
        if delivery == Delivery::Stream {
            let (head, outcome) = add_response_headers(head, &mut attempts, reused);
            // Other streams of events may be silent for as long as they like, and take no pings of ours.
            let events = attempts.kind == Kind::Inference && hold::is_plain_event_stream(&head.headers);
            let relay = Relay::new(Source::new(body, connection), attempts, outcome, events);
            return Ok(Response::from_parts(head, Reply::Relay(Box::new(relay))));
        }
        let mut buffer = ResponseBuffer::new(delivery, body, connection, &attempts);
        let waiting = Instant::now();
        let speak_by = match delivery {
            Delivery::BufferBody => attempts.deadline,
            _ => *speak_by.get_or_insert(waiting + attempts.proxy.config.stream.commit_wait),
        };
        let gathered = timeout_at(speak_by, buffer.run()).await;
        attempts.waited += waiting.elapsed();
        let whole = matches!(gathered, Ok(Gathered::Whole));
        match gathered {
            Ok(Gathered::Cut(failure)) => {
                drop(buffer); // with its connection: a request must not run twice at the same time
                if !attempts.wait_before_retry(&failure, None).await {
                    return Err((Box::new(attempts), failure));
                }
            }
            Err(_) if delivery.is_stream() => {
                let (mut head, _) = add_response_headers(head, &mut attempts, reused);
                head.headers.remove(CONTENT_LENGTH); // with pings, or from another attempt, it is longer or shorter
                return Ok(Response::from_parts(head, Reply::DeferredBody(Box::new(DeferredBody::new(buffer, attempts)))));
            }
            Ok(Gathered::Commit | Gathered::Whole) | Err(_) => {
                let (mut head, outcome) = add_response_headers(head, &mut attempts, reused);
                let relay = buffer.relay(attempts, outcome, whole);
                // More may have been announced than came before the last event (U10); hyper takes the header at its word.
                if let (true, Some(length), Some(said)) = (whole, relay.size_hint().exact(), head.headers.get_mut(CONTENT_LENGTH))
                {
                    *said = HeaderValue::from(length);
                }
                return Ok(Response::from_parts(head, Reply::Relay(Box::new(relay))));
            }
        }
    }
}

/// The head as the client gets it, and how the request will have ended.
fn add_response_headers(mut head: response::Parts, attempts: &mut Attempts, reused: bool) -> (response::Parts, Outcome) {
    let own = attempts.ticket.elapsed().saturating_sub(attempts.waited);
    attempts.ticket.first_byte(own);
    head.headers = headers::strip(&head.headers, &[]);
    head.headers.insert("x-leeward-attempts", attempts.header());
    head.headers.insert("x-leeward-connection", HeaderValue::from_static(if reused { "reused" } else { "fresh" }));
    if let Ok(timing) = HeaderValue::try_from(format!("leeward;dur={:.3}", own.as_secs_f64() * 1e3)) {
        head.headers.append("server-timing", timing);
    }
    head.headers.insert("keep-alive", KEEP_ALIVE);
    let outcome = if head.status.as_u16() < 400 { Outcome::Answered } else { Outcome::Declined };
    (head, outcome)
}

impl From<ReadError> for Error {
    fn from(why: ReadError) -> Self {
        match why {
            ReadError::TooLarge => Self::BodyTooLarge,
            ReadError::Client(why) => Self::BodyBroken(why),
        }
    }
}
