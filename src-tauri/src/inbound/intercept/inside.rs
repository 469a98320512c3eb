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
    },
    status::faults::Outcome,
};
use http::{Request, Response};
use hyper::body::Incoming;
use std::sync::Arc;

/// Whether who is refused a WebSocket there goes on without one: agents then stream their inferences over HTTP.
fn has_another_way(path: &str) -> bool {
    path.ends_with("/responses")
}

/// The name under which answers of our own are counted among the upstreams.
const LOCAL: &str = "answered-by-leeward";

/// The inside of a tunnel.
#[derive(Debug)]
pub(in crate::inbound) struct Inside {
    /// The one that all its requests are for.
    host: String,
    agent: String,
    shape: Shape,
    interception: Arc<Interception>,
}

impl Inside {
    pub(super) fn new(interception: Arc<Interception>, host: &str, agent: &str, shape: Shape) -> Self {
        Self { host: host.to_owned(), agent: agent.to_owned(), shape, interception }
    }

    /// Answers a request.
    pub(in crate::inbound) async fn dispatch(&self, inbound: &Inbound, request: Request<Incoming>) -> Response<ResponseBody> {
        let target = request.uri().path_and_query().map_or("/", |t| t.as_str()).to_owned();
        let path = request.uri().path();
        let mut ticket = inbound.traffic.begin();
        ticket.noted(request.method().as_str(), &target);
        ticket.from_agent(&self.agent);
        ticket.is_decrypted();
        let mut refuse = |meaning: &Meaning| {
            ticket.ends_as(Outcome::Refused);
            let response = exchange::respond(meaning, self.dialect(&request), 0);
            ticket.trace().status(response.status().as_u16());
            response.map(ResponseBody::from)
        };
        if let Err(why) = guard::check_inside(&inbound.config, &self.host, request.method(), request.uri(), request.headers()) {
            if why == Refusal::Upgrade && !has_another_way(path) {
                self.interception.refuses(&self.host, self.shape.as_str(), &self.no_websocket());
            }
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
        forward(&inbound.exchange, upstream, &target, request, ticket, Door::Decrypted).await.map(ResponseBody::from)
    }

    fn no_websocket(&self) -> String {
        let Self { agent, host, .. } = self;
        format!(
            "A program of {agent} wants a WebSocket to {host}, which Leeward does not carry: its next connections there are \
             tunnelled without decryption."
        )
    }

    /// How its client wants to be told of what goes to no upstream.
    fn dialect(&self, request: &Request<Incoming>) -> Dialect {
        let place = Place { path: request.uri().path(), host: &self.host, replay: &[] };
        Operation::of(request.method(), place, request.headers()).dialect
    }
}
