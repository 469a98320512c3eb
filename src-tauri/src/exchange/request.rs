//! One request's life on its way to an upstream: body read, attempts made, answer handed to `relay` or error to `error`.
//!
//! When the client leaves, hyper drops this future, and with it the upstream connection: that is the cancellation.

use super::{
    attempts::{self, Arrived, ArrivedBody, Attempts, Buffering},
    body::ResponseBody,
    context::{Exchange, RequestContext},
    deferred::DeferredBody,
    delivery::is_plain_event_stream,
    error::{self, Dialect, Error},
    model,
    relay::Relay,
    retry::Kind,
    route,
};
use crate::{
    config::CLIENT_TOKEN_HEADER,
    message::{self, Caps, ReadError, RequestHead, headers},
    status::faults::{Cause, Outcome},
    telemetry::Ticket,
    upstream::Upstream,
};
use http::{
    HeaderName, HeaderValue, Request, Response,
    header::{CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION},
    response,
};
use hyper::body::{Body as _, Incoming};
use std::sync::Arc;
use tokio::time::Instant;

const TIMEOUT: HeaderName = HeaderName::from_static("x-stainless-timeout");
/// How long agents may keep an idle connection to us; undici believes it, Bun keeps 300 s whatever it says.
const KEEP_ALIVE: HeaderValue = HeaderValue::from_static("timeout=300");

/// Sends a request to an upstream and answers with whatever comes of it.
pub(crate) async fn forward(
    exchange: &Arc<Exchange>,
    upstream: Arc<Upstream>,
    rest: &str,
    request: Request<Incoming>,
    ticket: Ticket,
) -> Response<ResponseBody> {
    let trace = ticket.trace().clone();
    let response = pass(exchange, upstream, rest, request, ticket).await;
    trace.status(response.status().as_u16());
    response
}

async fn pass(
    exchange: &Arc<Exchange>,
    upstream: Arc<Upstream>,
    rest: &str,
    request: Request<Incoming>,
    mut ticket: Ticket,
) -> Response<ResponseBody> {
    let (parts, incoming) = request.into_parts();
    let path = rest.split('?').next().unwrap_or_default();
    let dialect = Dialect::of(path, &parts.headers);
    exchange.budget.deposit();
    ticket.toward(upstream.traffic.clone());
    if let Some(agent) = headers::agent_name(&parts.headers) {
        ticket.from_agent(agent);
    }
    let refuse = |mut ticket: Ticket, error: Error| {
        ticket.ends_as(Outcome::Refused);
        error::respond(&error.meaning(), dialect, 0).map(ResponseBody::from)
    };
    if exchange.shared.via.is_in(&parts.headers) {
        return refuse(ticket, Error::Circle);
    }
    let (Some(target), Some(host)) = (upstream.target(rest), upstream.host.clone()) else {
        return refuse(ticket, Error::BadTarget);
    };
    let limits = &exchange.config.limits;
    let caps = Caps { body: limits.body_bytes, replay_body: limits.replay_body_bytes, replay_total: limits.replay_total_bytes };
    // The client's own patience: the SDKs state it.
    let patience =
        attempts::seconds(&parts.headers, TIMEOUT).filter(|p| !p.is_zero()).unwrap_or(exchange.config.response_timeout);
    let reading = Instant::now();
    let mut payload = match message::read(incoming, &exchange.shared.held, caps, ticket.trace()).await {
        Ok(payload) => payload,
        Err(why) => return refuse(ticket, why.into()),
    };
    // A body that its client still sends holds a connection for as long as the client likes: not all of them at once.
    if payload.needs_turn() {
        match upstream.origin.uploads.turn(Instant::now() + patience / 2).await {
            Some(turn) => payload.give_turn(turn),
            None => return refuse(ticket, Error::TooManyUploads),
        }
    }
    let fault = payload.client_fault();
    let kind = route::kind(&parts.method, path);
    if kind == Kind::Inference
        && let Some(model) = model::name(path, &payload)
    {
        ticket.trace().model(model);
    }
    // The client token is for Leeward alone.
    let stripped = [EXPECT, PROXY_AUTHORIZATION, const { HeaderName::from_static(CLIENT_TOKEN_HEADER) }];
    let mut head = RequestHead {
        method: parts.method,
        target,
        headers: headers::strip(&parts.headers, &stripped),
        extensions: parts.extensions,
    };
    head.headers.insert(HOST, host);
    exchange.shared.via.mark(&mut head.headers, &upstream);
    let context = RequestContext { exchange: exchange.clone(), upstream, ticket, kind, dialect };
    let whole = kind == Kind::Inference && context.buffers_whole();
    let mut attempts = Attempts::new(context, (head, payload), patience, reading.elapsed());
    if whole {
        attempts.ask_for_plain_text();
    }
    match attempts.next(None).await {
        Ok(arrived) => deliver(arrived, attempts),
        Err(failure) => {
            if let Some(why) = fault.take() {
                return refuse(attempts.into_context().0.ticket, why.into());
            }
            let (number, next) = (attempts.number, attempts.context.upstream.origin.next_dial_in());
            attempts.fail(&failure);
            let error = match failure.cause {
                Cause::CircuitOpen => Error::Parked(failure, next),
                _ => Error::Upstream(failure),
            };
            error::respond(&error.meaning(), dialect, number).map(ResponseBody::from)
        }
    }
}

/// The response to the client, with a body that goes on by itself.
fn deliver(arrived: Arrived, mut attempts: Attempts) -> Response<ResponseBody> {
    let Arrived { mut head, reused, body } = arrived;
    let outcome = add_response_headers(&mut head, &mut attempts, reused);
    let (buffer, whole) = match body {
        ArrivedBody::Stream(source) => {
            // Other streams of events may be silent for as long as they like, and take no pings of ours.
            let events = attempts.context.kind == Kind::Inference && is_plain_event_stream(&head.headers);
            let relay = Relay::new(source, attempts.into_context(), outcome, events);
            return Response::from_parts(head, ResponseBody::Relay(Box::new(relay)));
        }
        ArrivedBody::Waiting(buffer) => {
            head.headers.remove(CONTENT_LENGTH); // with pings, or from another attempt, it is longer or shorter
            let body = DeferredBody::new(Buffering { head: head.clone(), reused, buffer }, attempts);
            return Response::from_parts(head, ResponseBody::Deferred(Box::new(body)));
        }
        ArrivedBody::Begun(buffer) => (buffer, false),
        ArrivedBody::Whole(buffer) => (buffer, true),
    };
    let relay = Relay::buffered(buffer, attempts.into_context(), outcome, whole);
    // More may have been announced than came before the last event (U10); hyper takes the header at its word.
    if let (true, Some(length), Some(said)) = (whole, relay.size_hint().exact(), head.headers.get_mut(CONTENT_LENGTH)) {
        *said = HeaderValue::from(length);
    }
    Response::from_parts(head, ResponseBody::Relay(Box::new(relay)))
}

/// Makes the head what the client gets, and says how the request will have ended.
fn add_response_headers(head: &mut response::Parts, attempts: &mut Attempts, reused: bool) -> Outcome {
    let own = attempts.context.ticket.elapsed().saturating_sub(attempts.waited);
    attempts.context.ticket.first_byte(own);
    head.headers = headers::strip(&head.headers, &[]);
    head.headers.insert("x-leeward-attempts", attempts.header());
    head.headers.insert("x-leeward-connection", HeaderValue::from_static(if reused { "reused" } else { "fresh" }));
    if let Ok(timing) = HeaderValue::try_from(format!("leeward;dur={:.3}", own.as_secs_f64() * 1e3)) {
        head.headers.append("server-timing", timing);
    }
    head.headers.insert("keep-alive", KEEP_ALIVE);
    if head.status.as_u16() < 400 { Outcome::Answered } else { Outcome::Declined }
}

impl From<ReadError> for Error {
    fn from(why: ReadError) -> Self {
        match why {
            ReadError::TooLarge => Self::BodyTooLarge,
            ReadError::Client(why) => Self::BodyBroken(why),
            ReadError::GaveWay => {
                Self::BodyBroken("it paused while other uploads waited for a connection (client.upload_stall)".into())
            }
        }
    }
}
