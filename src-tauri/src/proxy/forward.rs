//! One request's life on its way to an upstream: body read, attempts made, answer handed to `relay` or error to `error`.
//!
//! When the client leaves, hyper drops this future, and with it the upstream connection: that is the cancellation.

use super::{
    Proxy,
    attempts::{self, Attempts},
    body::{self, Caps, ReadError},
    error::{self, Dialect, Error},
    headers,
    message::Message,
    relay::Relay,
    reply::Reply,
    route,
    upstream::Upstream,
};
use crate::status::traffic::{Outcome, Ticket};
use http::{
    HeaderName, HeaderValue, Request, Response,
    header::{EXPECT, HOST},
};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::time::Instant;
use tower::retry::budget::Budget as _;

const TIMEOUT: HeaderName = HeaderName::from_static("x-stainless-timeout");
/// How long agents may keep an idle connection to us; undici believes it, Bun keeps 300 s whatever it says.
const KEEP_ALIVE: HeaderValue = HeaderValue::from_static("timeout=300");

/// Sends a request to an upstream and answers with whatever comes of it.
pub(super) async fn forward(
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
    let (Some(target), Some(authority)) = (upstream.target(rest), upstream.origin.place.authority()) else {
        return refuse(ticket, Error::BadTarget);
    };
    let limits = &proxy.config.limits;
    let caps = Caps { body: limits.body_bytes, replay_body: limits.replay_body_bytes, replay_total: limits.replay_total_bytes };
    // The client's own patience: the SDKs state it.
    let patience = attempts::seconds(&parts.headers, TIMEOUT).filter(|p| !p.is_zero()).unwrap_or(proxy.config.response_timeout);
    let reading = Instant::now();
    let payload = match body::read(incoming, &proxy.shared.held, caps).await {
        Ok(payload) => payload,
        Err(why) => return refuse(ticket, why.into()),
    };
    let fault = payload.client_fault();
    let kind = route::kind(&parts.method, path);
    let mut message = Message {
        method: parts.method,
        target,
        headers: headers::strip(&parts.headers, &[EXPECT, super::guard::CLIENT_TOKEN]),
        extensions: parts.extensions,
    };
    if let Ok(host) = HeaderValue::try_from(authority.as_str()) {
        message.headers.insert(HOST, host);
    }
    let request = (proxy.clone(), upstream, ticket);
    let mut attempts = Attempts::new(request, (message, payload), kind, patience, reading.elapsed());
    match attempts.answer().await {
        Ok((response, wire)) => {
            let own = attempts.ticket.elapsed().saturating_sub(attempts.waited);
            attempts.ticket.first_byte(own);
            let reused = wire.is_reused();
            let (mut parts, incoming) = response.into_parts();
            parts.headers = headers::strip(&parts.headers, &[]);
            parts.headers.insert("x-leeward-attempts", HeaderValue::from(attempts.number));
            parts.headers.insert("x-leeward-connection", HeaderValue::from_static(if reused { "reused" } else { "fresh" }));
            if let Ok(timing) = HeaderValue::try_from(format!("leeward;dur={:.3}", own.as_secs_f64() * 1e3)) {
                parts.headers.append("server-timing", timing);
            }
            parts.headers.insert("keep-alive", KEEP_ALIVE);
            let outcome = if parts.status.as_u16() < 400 { Outcome::Answered } else { Outcome::Declined };
            let relay = Relay::new(incoming, wire, attempts.upstream.origin.clone(), attempts.number, attempts.ticket, outcome);
            Response::from_parts(parts, Reply::Relay(Box::new(relay)))
        }
        Err(failure) => {
            if let Some(why) = fault.take() {
                return refuse(attempts.ticket, why.into());
            }
            let Attempts { mut ticket, number, upstream, .. } = attempts;
            ticket.ends_as(Outcome::Failed);
            ticket.pass_on(failure.cause, number);
            tracing::warn!(origin = %upstream.origin.place, cause = failure.cause.as_str(), attempts = number, "passed on: {}", failure.detail);
            error::respond(&Error::Upstream(failure), dialect, number)
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
