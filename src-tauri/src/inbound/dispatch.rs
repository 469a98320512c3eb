//! Where a request goes: Leeward's own paths, an upstream, or nowhere. Decides by the head alone, and waits for nothing but the
//! system, where it matters whose program the client is.

use super::{
    client::Client,
    greeting,
    guard::{self, Admitted, Refusal},
    refusal,
    response::ResponseBody,
    server::Inbound,
    websocket,
};
use crate::{
    admin::OPEN,
    exchange::{
        self, Dialect, Door, Error, Meaning, Operation, Place, forward,
        route::{self, Route},
    },
    message::headers,
    status::faults::Outcome,
};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use std::sync::Arc;

/// Answers a request. `shed`: its connection is one too many.
pub(super) async fn dispatch(
    inbound: &Arc<Inbound>,
    client: &Client,
    request: Request<Incoming>,
    shed: bool,
) -> Response<ResponseBody> {
    if let Some(inside) = &client.inside {
        return inside.dispatch(inbound, request).await;
    }
    let target = request.uri().path_and_query().map_or("/", |t| t.as_str()).to_owned();
    let refuse = |meaning: &Meaning| {
        let mut ticket = inbound.traffic.begin();
        ticket.noted(request.method().as_str(), &target);
        ticket.ends_as(Outcome::Refused);
        let response = exchange::respond(meaning, dialect(inbound, &request, &target), 0);
        ticket.trace().status(response.status().as_u16());
        response.map(ResponseBody::from)
    };
    match guard::check(&inbound.config, client.local, request.method(), request.uri(), request.headers()) {
        // The link stood in a command line, which every user can read.
        Ok(Admitted::Own) if request.uri().path() == OPEN && !client.owner().await.is_own() => {
            return refuse(&refusal::not_ours());
        }
        Ok(Admitted::Own) => return inbound.own_paths.answer(client.local, request).await.map(ResponseBody::from),
        Ok(Admitted::Upstream) => {}
        Ok(Admitted::Navigation) => return greeting::page().map(ResponseBody::from),
        Err(why) => return refusal::respond(why, refuse),
    }
    // After Leeward's own paths: `leeward status` and `restart` are wanted most when there are too many connections.
    if shed {
        return refuse(&refusal::over_cap(inbound.config.limits.connections));
    }
    let (name, rest) = match route::route(&target) {
        Route::Named { name, rest } => (Some(name), rest),
        Route::Default => (None, target.as_str()),
        Route::Unclear => return refuse(&Error::UnclearName.meaning()),
    };
    let Some(upstream) = inbound.upstreams.get(name) else {
        return refuse(&Error::UnknownUpstream(name.unwrap_or_default().to_owned()).meaning());
    };
    // Whoever has sent the client token is let in by it.
    if let Some(shown) = &upstream.origin.own_identity
        && inbound.config.client_token.is_none()
    {
        let owner = client.owner().await;
        if !owner.is_own() {
            return refuse(&refusal::not_own(shown, &owner));
        }
    }
    let upstream = match headers::asks_for_websocket(&request) {
        true if websocket::is_refused(&upstream, rest) => return refusal::respond(Refusal::Upgrade, refuse),
        true => inbound.upstreams.for_websocket(upstream),
        false => upstream,
    };
    // Claude Code asks this once at its start, right before it sends several requests at once.
    if request.method() == Method::HEAD && rest.starts_with("/api/hello") {
        upstream.origin.warm(inbound.config.connect.parallel);
    }
    let mut ticket = inbound.traffic.begin();
    ticket.noted(request.method().as_str(), rest);
    if let Some((number, session)) = headers::agent_name(request.headers()).and_then(|agent| inbound.sessions.only_of(agent)) {
        ticket.of_session(&session, number);
    }
    forward(&inbound.exchange, upstream, rest, request, ticket, Door::Open).await.map(ResponseBody::from)
}

/// How the client of a request wants to be told that goes to no upstream.
fn dialect(inbound: &Inbound, request: &Request<Incoming>, target: &str) -> Dialect {
    let (url, rest) = match route::route(target) {
        Route::Named { name, rest } => (inbound.config.upstreams.get(name), rest),
        Route::Default | Route::Unclear => (Some(&inbound.config.upstream), target),
    };
    let rest = rest.split('?').next().unwrap_or_default();
    let path = format!("{}{rest}", url.map_or("", |url| url.path().trim_end_matches('/')));
    let host = url.and_then(|url| url.host_str()).unwrap_or_default();
    Operation::of(request.method(), Place { path: &path, host, replay: &[] }, request.headers()).dialect
}
