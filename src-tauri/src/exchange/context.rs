//! What the parts of a request's life share: the engine's side of it, and the request itself. Data; decides little.

use super::{cuts::Cuts, error::Dialect, operation::Operation, repair::Repair, repeats::Repeats, silence::Silent, via::Via};
use crate::{
    config::{Config, StreamMode},
    health::Tracker,
    message::HeldBytes,
    telemetry::{Ticket, Traffic},
    upstream::{InFlight, Upstream},
};
use std::sync::Arc;

/// What the generations of one engine share of their requests.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Bytes held: of requests for replay, of responses until they are let go.
    pub(crate) held: HeldBytes,
    /// Bytes of responses in temporary files.
    pub(super) on_disk: HeldBytes,
    /// Who this process is among those that a request passes.
    pub(super) via: Via,
    /// Cut responses, by host.
    pub(super) cuts: Cuts,
    /// Streams that are silent.
    pub(super) silent: Silent,
    /// Requests that failed lately, for when their agents send them again.
    pub(super) repeats: Repeats,
}

/// What the requests of one generation share.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) config: Arc<Config>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) health: Tracker,
}

impl Exchange {
    /// Says in `health` which hosts' responses are buffered for now, and forgets old cuts. Called from time to time.
    pub(crate) fn review_cuts(&self) {
        self.shared.cuts.review(&self.config.stream, &self.health);
    }
}

/// A request, as all that handle it must know it.
#[derive(Debug)]
pub(super) struct RequestContext {
    pub(super) exchange: Arc<Exchange>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) ticket: Ticket,
    pub(super) operation: Operation,
    /// For how long it is repaired.
    pub(super) repair: Repair,
    /// It fills its origin's budget.
    pub(super) _in_flight: InFlight,
}

impl RequestContext {
    /// How the client expects errors and pings.
    pub(super) fn dialect(&self) -> Dialect {
        self.operation.dialect
    }

    /// Whether responses of its upstream are buffered whole now (U11).
    pub(super) fn buffers_whole(&self) -> bool {
        let stream = &self.exchange.config.stream;
        match stream.mode {
            StreamMode::Pass => false,
            StreamMode::Hold => true,
            StreamMode::Adaptive => self.exchange.shared.cuts.are_frequent(&self.upstream.origin.endpoint.host, stream),
        }
    }
}
