//! One request's life on its way to an upstream: attempts made, response handed to `relay` or error to `error`.
//!
//! When the client leaves, hyper drops this future, and with it the upstream connection: that is the cancellation.

use super::{
    arrived::{Arrived, ArrivedBody, Buffering},
    attempts::Attempts,
    body::ResponseBody,
    context::{Exchange, RequestContext},
    deferred::DeferredBody,
    delivery::is_event_stream,
    error::{self, Error},
    hints,
    operation::{Operation, Place},
    redirect::{self, Asked, Leads},
    relay::Relay,
    repair::{Door, Repair},
    retry::Kind,
    switched::Switched,
    upload,
};
use crate::{
    config::CLIENT_TOKEN_HEADER,
    message::{RequestHead, coding::Coded, headers},
    status::faults::Outcome,
    telemetry::{Ticket, WebSocketTicket},
    upstream::{InFlight, Upstream},
};
use http::{
    HeaderName, HeaderValue, Request, Response, StatusCode, Uri,
    header::{CONTENT_LENGTH, EXPECT, HOST, LOCATION, PROXY_AUTHORIZATION},
    request, response,
};
use hyper::body::{Body as _, Incoming};
use std::sync::Arc;
use tokio::time::Instant;

/// How long agents may keep an idle connection to us; undici believes it, Bun keeps 300 s whatever it says.
const KEEP_ALIVE: HeaderValue = HeaderValue::from_static("timeout=300");

/// Sends a request to an upstream and answers with whatever comes of it.
pub(crate) async fn forward(
    exchange: &Arc<Exchange>,
    upstream: Arc<Upstream>,
    rest: &str,
    request: Request<Incoming>,
    ticket: Ticket,
    door: Door,
) -> Response<ResponseBody> {
    let trace = ticket.trace().clone();
    let response = pass(exchange, upstream, rest, request, ticket, door).await;
    trace.status(response.status().as_u16());
    response
}

async fn pass(
    exchange: &Arc<Exchange>,
    upstream: Arc<Upstream>,
    rest: &str,
    request: Request<Incoming>,
    mut ticket: Ticket,
    door: Door,
) -> Response<ResponseBody> {
    let websocket = headers::asks_for_websocket(&request);
    let (parts, incoming) = request.into_parts();
    let in_flight = InFlight::new(&upstream.origin.budget);
    ticket.toward(upstream.traffic.clone());
    if let Some(agent) = headers::agent_name(&parts.headers) {
        ticket.from_agent(agent);
    }
    let target = upstream.target(rest);
    let path = target.as_ref().map_or(rest, Uri::path);
    let place = Place { path, host: &upstream.origin.endpoint.host, replay: &upstream.replay };
    let mut operation = Operation::of(&parts.method, place, &parts.headers);
    let repair = match door {
        Door::Open => Repair::Full,
        // Until it is there a WebSocket has no effect, whatever it will be used for.
        Door::Decrypted if websocket => Repair::Brief,
        Door::Decrypted => operation.is_repaired_as(&parts.method, place),
    };
    let dialect = operation.dialect;
    let refuse = |mut ticket: Ticket, error: Error| {
        ticket.ends_as(Outcome::Refused);
        error::respond(&error.meaning(), dialect, 0).map(ResponseBody::from)
    };
    if exchange.shared.via.is_in(&parts.headers) {
        return refuse(ticket, Error::Circle);
    }
    let (Some(target), Some(host)) = (target, upstream.host.clone()) else {
        return refuse(ticket, Error::BadTarget);
    };
    let patience = hints::patience(&parts.headers).unwrap_or(exchange.config.response_timeout);
    let reading = Instant::now();
    let payload = match upload::payload(exchange, &upstream, incoming, patience, ticket.trace()).await {
        Ok(payload) => payload,
        Err(error) => return refuse(ticket, error),
    };
    if let Some(model) = operation.model(&payload) {
        ticket.trace().model(model);
    } else if let Some(model) = operation.model_of_unknown(&parts.headers, &payload) {
        tracing::debug!(path = target.path(), "a request names a model, and its path is in no row of the inference APIs");
        exchange.traffic.unknown_inference();
        ticket.trace().model(model);
    }
    let _turn = if repair.is_unchanged() { upstream.turn().await } else { None };
    let fault = payload.client_fault();
    let head = head(exchange, &upstream, parts, (target, host), websocket);
    let context = RequestContext { exchange: exchange.clone(), upstream, ticket, operation, repair, _in_flight: in_flight };
    let whole = context.operation.kind == Kind::Inference && context.buffers_whole();
    let mut attempts = Attempts::new(context, (head, payload), patience, reading.elapsed());
    // It takes a connection for good, and one that has served may be about to be closed by its server.
    attempts.fresh = websocket;
    if whole {
        attempts.ask_for_plain_text();
    }
    match attempts.next(None).await {
        Ok(arrived) => deliver(arrived, attempts, door),
        Err(failure) => {
            if let Some(why) = fault.take() {
                return refuse(attempts.into_context().0.ticket, why.into());
            }
            let (number, upstream) = (attempts.number, attempts.context.upstream.clone());
            let error = Error::of(&failure, &upstream, number);
            attempts.fail(&failure);
            let mut meaning = error.meaning();
            let response = repair.spent(&mut meaning).unwrap_or_else(|| error::respond(&meaning, dialect, number));
            response.map(ResponseBody::from)
        }
    }
}

/// The head that goes out.
fn head(
    exchange: &Exchange,
    upstream: &Upstream,
    parts: request::Parts,
    (target, host): (Uri, HeaderValue),
    websocket: bool,
) -> RequestHead {
    // The client token is for Leeward alone.
    let stripped = [EXPECT, PROXY_AUTHORIZATION, const { HeaderName::from_static(CLIENT_TOKEN_HEADER) }];
    let strip = if websocket { headers::strip_but_websocket } else { headers::strip };
    let headers = strip(&parts.headers, &stripped);
    let mut head = RequestHead { method: parts.method, target, headers, extensions: parts.extensions };
    head.headers.insert(HOST, host);
    exchange.shared.via.mark(&mut head.headers, upstream);
    head
}

/// The response to the client, with a body that goes on by itself.
fn deliver(arrived: Arrived, mut attempts: Attempts, door: Door) -> Response<ResponseBody> {
    let Arrived { mut head, reused, body } = arrived;
    if door == Door::Open {
        lead_on(&mut head, &attempts);
    }
    let outcome = add_response_headers(&mut head, &mut attempts, reused);
    let (buffer, whole) = match body {
        ArrivedBody::Stream(source) => {
            // Other streams of events may be silent for as long as they like, and take no pings of ours.
            let events = attempts.context.operation.kind == Kind::Inference && is_event_stream(&head.headers);
            let coded = events.then(|| Coded::of(&head.headers));
            let relay = Relay::new(source, attempts.into_context(), outcome, coded);
            return Response::from_parts(head, ResponseBody::Relay(Box::new(relay)));
        }
        ArrivedBody::Waiting(buffer) => {
            head.headers.remove(CONTENT_LENGTH); // with pings, or from another attempt, it is longer or shorter
            let body = DeferredBody::new(Buffering { head: head.clone(), reused, buffer }, attempts);
            return Response::from_parts(head, ResponseBody::Deferred(Box::new(body)));
        }
        ArrivedBody::Switched(server, came) => {
            let mut ticket = attempts.into_context().0.ticket;
            ticket.ends_as(outcome);
            let ticket = WebSocketTicket::of(ticket);
            return Response::from_parts(head, ResponseBody::Switched(Box::new(Switched { server, came, ticket })));
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

/// Keeps a redirected client at the upstream that it asked.
fn lead_on(head: &mut response::Parts, attempts: &Attempts) {
    let Some(location) = head.headers.get_mut(LOCATION) else { return };
    let upstream = &attempts.context.upstream;
    let asked =
        Asked { name: upstream.name.as_deref(), url: &upstream.url, prefix: upstream.prefix(), target: attempts.target() };
    match redirect::leads(asked, location) {
        Leads::Nowhere => {}
        Leads::Within(own) => *location = own,
        Leads::Elsewhere(whole, host) => {
            tracing::info!(origin = %upstream.origin.endpoint, "a response leads its client past Leeward, to {host}");
            *location = whole;
        }
    }
}

/// Makes the head what the client gets, and says how the request will have ended.
fn add_response_headers(head: &mut response::Parts, attempts: &mut Attempts, reused: bool) -> Outcome {
    let own = attempts.context.ticket.elapsed().saturating_sub(attempts.waited);
    attempts.context.ticket.first_byte(own);
    let outcome = if head.status.as_u16() < 400 { Outcome::Answered } else { Outcome::Declined };
    let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
    let strip = if switches { headers::strip_but_websocket } else { headers::strip };
    head.headers = strip(&head.headers, &[]);
    if attempts.context.repair.is_unchanged() {
        return outcome;
    }
    head.headers.insert("x-leeward-attempts", attempts.header());
    head.headers.insert("x-leeward-connection", HeaderValue::from_static(if reused { "reused" } else { "fresh" }));
    if let Ok(timing) = HeaderValue::try_from(format!("leeward;dur={:.3}", own.as_secs_f64() * 1e3)) {
        head.headers.append("server-timing", timing);
    }
    if !switches {
        head.headers.insert("keep-alive", KEEP_ALIVE);
    }
    outcome
}
