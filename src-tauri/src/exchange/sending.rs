//! One attempt's way out: a connection taken, the request sent, the response's head waited for. What follows from its
//! failure, `attempts` decides.

use super::{attempts::Attempts, hints, retry};
use crate::{
    message::Failure,
    status::faults::Cause,
    upstream::{Connection, Lease},
};
use http::{Response, header::RETRY_AFTER};
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Statuses that say "not now" (U12): the API or its edge declined the request.
const DECLINED: [u16; 4] = [502, 503, 504, 529];

impl Attempts {
    /// Gets a connection, sends the request, waits for the response's head.
    pub(super) async fn send(&mut self) -> Result<(Response<Incoming>, Connection), Failure> {
        let mut connection = self.connection().await?;
        self.context.exchange.traffic.exchange(connection.will_reuse());
        self.context.ticket.trace().sent(connection.will_reuse());
        let Some(outgoing) = self.payload.take() else {
            return Err(Failure::new(Cause::WriteFailed, "the request's body was streamed and cannot be sent twice"));
        };
        if self.body == retry::Body::Untouched {
            self.body = retry::Body::Spent;
        }
        for cause in connection.take_dial_faults() {
            self.context.ticket.count_retried(cause, self.number);
        }
        let (request, length) = self.head.with(outgoing);
        let waiting = Instant::now();
        let answered = timeout_at(self.deadline, connection.exchange(request, length)).await;
        self.waited += waiting.elapsed();
        if matches!(answered, Ok(Ok(_))) {
            self.context.ticket.trace().answered();
        }
        answered.unwrap_or_else(|_| {
            let endpoint = &self.context.upstream.origin.endpoint;
            let detail = format!("no response from {endpoint} before the agent's own deadline");
            Err(Failure::new(Cause::ResponseTimeout, detail))
        })
    }

    /// A connection, for as long as one may be waited for.
    async fn connection(&mut self) -> Result<Connection, Failure> {
        let waiting = Instant::now();
        let repair = self.context.repair;
        let limit = repair.policy(&self.context.exchange.config.retry).total.min(self.patience / 2);
        let give_up = match self.failed {
            Some(failed) => failed + limit.saturating_sub(self.retried),
            // The first attempt may take what a connection takes, also where nothing is tried again (`retry.total = "0s"`).
            None => {
                let connect = &self.context.exchange.config.connect;
                let usual = limit.max(connect.dns_timeout + connect.timeout + connect.tls_timeout);
                self.began + repair.first_connection().unwrap_or(usual)
            }
        };
        let checkout = self.context.upstream.origin.checkout(self.fresh, self.began, self.deadline.min(give_up));
        let Lease { connection, stale, parked } = checkout.await;
        self.waited += waiting.elapsed();
        for _ in 0..stale {
            self.context.ticket.count_retried(Cause::StalePooled, self.number);
        }
        let connection = connection?;
        self.retried += self.failed.take().map_or(Duration::ZERO, |at| at.elapsed());
        if parked {
            self.context.ticket.count_retried(Cause::CircuitOpen, self.number);
        }
        Ok(connection)
    }

    /// A response that says "not now, but in so many seconds", where the config wants that waited for.
    pub(super) fn declined(&self, response: &Response<Incoming>) -> Option<(Failure, Duration)> {
        let (status, headers) = (response.status().as_u16(), response.headers());
        let wanted = self.context.exchange.config.retry.server_errors && DECLINED.contains(&status);
        let final_word = headers.get("x-should-retry").is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"false"));
        if !wanted || final_word {
            return None;
        }
        let failure = Failure::new(Cause::Declined, format!("it answered {status}"));
        Some((failure, hints::seconds(headers, RETRY_AFTER)?))
    }
}
