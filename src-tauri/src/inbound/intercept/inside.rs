//! What a decrypted connection's requests meet: the guard's rules for them, the list of connectors, the one host they are for.

use super::{registry, shape::Shape};
use crate::{
    control::Interception,
    exchange::{self, Dialect, Door, Error, Meaning, Operation, Place, forward},
    inbound::{
        guard::{self, Refusal},
        refusal,
        response::ResponseBody,
        server::Inbound,
        websocket,
    },
    message::headers,
    status::faults::Outcome,
};
use http::{Request, Response};
use hyper::body::Incoming;
use std::sync::Arc;

/// The name under which answers of our own are counted among the upstreams.
const LOCAL: &str = "answered-by-leeward";

/// The inside of a tunnel.
#[derive(Debug)]
pub(in crate::inbound) struct Inside {
    /// The one that all its requests are for.
    host: String,
    agent: String,
    session: String,
    session_number: u64,
    shape: Shape,
    interception: Arc<Interception>,
}

impl Inside {
    pub(super) fn new(
        interception: Arc<Interception>,
        host: &str,
        (agent, session, session_number): (&str, &str, u64),
        shape: Shape,
    ) -> Self {
        let (host, agent, session) = (host.to_owned(), agent.to_owned(), session.to_owned());
        Self { host, agent, session, session_number, shape, interception }
    }

    /// Answers a request.
    pub(in crate::inbound) async fn dispatch(&self, inbound: &Inbound, request: Request<Incoming>) -> Response<ResponseBody> {
        let target = request.uri().path_and_query().map_or("/", |t| t.as_str()).to_owned();
        let path = request.uri().path();
        let mut ticket = inbound.traffic.begin();
        ticket.noted(request.method().as_str(), &target);
        ticket.from_agent(&self.agent);
        ticket.of_session(&self.session, self.session_number);
        ticket.is_decrypted();
        let mut refuse = |meaning: &Meaning| {
            ticket.ends_as(Outcome::Refused);
            let response = exchange::respond(meaning, self.dialect(&request), 0);
            ticket.trace().status(response.status().as_u16());
            response.map(ResponseBody::from)
        };
        if let Err(why) = guard::check_inside(&inbound.config, &self.host, request.method(), request.uri(), request.headers()) {
            return refusal::respond(why, refuse);
        }
        if !self.interception.connectors
            && let Some(response) = registry::answer(request.method(), &self.host, path)
        {
            ticket.is_answered_here();
            ticket.toward(inbound.traffic.upstream(LOCAL));
            ticket.trace().status(response.status().as_u16());
            ticket.ends_as(Outcome::Answered);
            return response.map(ResponseBody::from);
        }
        let session = self.interception.upstreams.get(&self.host).map(String::as_str);
        let Some(upstream) = inbound.upstreams.of_host(&self.host, session) else {
            return refuse(&Error::UnknownUpstream(self.host.clone()).meaning());
        };
        let upstream = match headers::asks_for_websocket(&request) {
            true if websocket::is_refused(&upstream, &target) => {
                // Who has no other way gets it from the real server the next time.
                if !websocket::streams_over_http(&upstream, &target) {
                    self.interception.refuses(&self.host, self.shape.as_str(), &self.no_websocket());
                }
                return refusal::respond(Refusal::Upgrade, refuse);
            }
            true => inbound.upstreams.for_websocket(upstream),
            false => upstream,
        };
        forward(&inbound.exchange, upstream, &target, request, ticket, Door::Decrypted).await.map(ResponseBody::from)
    }

    fn no_websocket(&self) -> String {
        let Self { agent, host, .. } = self;
        format!(
            "A program of {agent} wants a WebSocket to {host}, which Leeward's config refuses: its next connections there are \
             tunnelled without decryption."
        )
    }

    /// How its client wants to be told of what goes to no upstream.
    fn dialect(&self, request: &Request<Incoming>) -> Dialect {
        let place = Place { path: request.uri().path(), host: &self.host, replay: &[] };
        Operation::of(request.method(), place, request.headers()).dialect
    }
}
