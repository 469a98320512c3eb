//! Where a request goes: Leeward's own paths, an upstream, or nowhere. Decides by the head alone, and waits for nothing but the
//! system, where it matters whose program the client is.

use super::{
    client::Client,
    greeting,
    guard::{self, Admitted},
    refusal,
    response::ResponseBody,
    server::Inbound,
};
use crate::{
    exchange::{
        self, Dialect, Error, Meaning, forward,
        route::{self, Route},
    },
    status::faults::Outcome,
};
use http::{HeaderValue, Method, Request, Response, header::CONNECTION};
use hyper::body::Incoming;
use std::sync::Arc;

/// Answers a request. `shed`: its connection is one too many.
pub(super) async fn dispatch(
    inbound: &Arc<Inbound>,
    client: &Client,
    request: Request<Incoming>,
    shed: bool,
) -> Response<ResponseBody> {
    let target = request.uri().path_and_query().map_or("/", |t| t.as_str()).to_owned();
    let path = target.split('?').next().unwrap_or_default();
    let refuse = |meaning: &Meaning| {
        let mut ticket = inbound.traffic.begin();
        ticket.noted(request.method().as_str(), &target);
        ticket.ends_as(Outcome::Refused);
        let response = exchange::respond(meaning, Dialect::of(path, request.headers()), 0);
        ticket.trace().status(response.status().as_u16());
        response.map(ResponseBody::from)
    };
    match guard::check(&inbound.config, inbound.local, request.method(), request.uri(), request.headers()) {
        Ok(Admitted::Own) => return inbound.own_paths.answer(request).await.map(ResponseBody::from),
        Ok(Admitted::Upstream) => {}
        Ok(Admitted::Navigation) => return greeting::page().map(ResponseBody::from),
        Err(why) => {
            let closes = refusal::closes(&why);
            let mut response = refuse(&refusal::meaning(why));
            if closes {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            return response;
        }
    }
    // After Leeward's own paths: `leeward status` and `restart` are wanted most when there are too many connections.
    if shed {
        return refuse(&refusal::over_cap(inbound.config.limits.connections));
    }
    let (name, rest) = match route::route(&target) {
        Route::Named { name, rest } => (Some(name), rest),
        Route::Default => (None, target.as_str()),
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
    // Claude Code asks this once at its start, right before it sends several requests at once.
    if request.method() == Method::HEAD && rest.starts_with("/api/hello") {
        upstream.origin.warm(inbound.config.connect.parallel);
    }
    let mut ticket = inbound.traffic.begin();
    ticket.noted(request.method().as_str(), rest);
    forward(&inbound.exchange, upstream, rest, request, ticket).await.map(ResponseBody::from)
}
