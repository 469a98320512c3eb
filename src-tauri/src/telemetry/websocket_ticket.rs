//! One WebSocket as it is counted and shown: begun where its request ends, in the same entry among the activities. Never content.

use super::{ticket::Ticket, trace::Trace, traffic::Traffic};
use crate::status::websockets::WebSocketEnd;
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// A WebSocket from its response to its end. Dropping it ends the count, however it ended.
#[derive(Debug)]
pub struct WebSocketTicket {
    traffic: Arc<Traffic>,
    trace: Trace,
    end: WebSocketEnd,
}

impl WebSocketTicket {
    /// Of a request that was answered with 101; the request itself ends here, and its latency with it.
    pub fn of(mut request: Ticket) -> Self {
        let (traffic, trace) = (request.traffic().clone(), request.take_trace());
        // Before the request is over: whoever waits for both sees one of them.
        traffic.websockets.open.fetch_add(1, Relaxed);
        traffic.websockets.opened.fetch_add(1, Relaxed);
        drop(request);
        trace.streams();
        Self { traffic, trace, end: WebSocketEnd::ClientGone }
    }

    /// Bytes from the client.
    pub fn up(&self, bytes: u64) {
        self.traffic.websockets.bytes_up.fetch_add(bytes, Relaxed);
        self.trace.up(bytes);
    }

    /// Bytes from the upstream.
    pub fn down(&self, bytes: u64) {
        self.traffic.websockets.bytes_down.fetch_add(bytes, Relaxed);
        self.trace.down(bytes);
    }

    /// How it will have ended unless something else is said before it is dropped.
    pub fn ends_as(&mut self, end: WebSocketEnd) {
        self.end = end;
    }
}

impl Drop for WebSocketTicket {
    fn drop(&mut self) {
        let websockets = &self.traffic.websockets;
        websockets.ended[self.end as usize].fetch_add(1, Relaxed);
        websockets.open.fetch_sub(1, Relaxed);
        self.traffic.activities.end_as(&self.trace, self.end.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::faults::Outcome;

    #[test]
    fn its_request_ends_as_it_begins_and_each_end_is_counted_once() {
        for end in [None, Some(WebSocketEnd::Carried), Some(WebSocketEnd::Reset), Some(WebSocketEnd::Cut)] {
            let counted = end.unwrap_or(WebSocketEnd::ClientGone).as_str();
            let traffic = Arc::<Traffic>::default();
            let mut request = traffic.begin();
            request.noted("GET", "/v1/realtime?key=hush");
            request.ends_as(Outcome::Answered);
            let mut ticket = WebSocketTicket::of(request);
            let stats = traffic.snapshot();
            assert_eq!((stats.in_flight, stats.outcomes["answered"], stats.latency_ms.total.count), (0, 1, 1));
            assert_eq!((traffic.websockets.counts().open, traffic.websockets.counts().opened), (1, 1));
            ticket.up(3);
            ticket.down(4);
            let row = &traffic.activities().list()[0];
            assert_eq!(
                (row.path.as_str(), row.outcome, row.took_ms),
                ("/v1/realtime", None, None),
                "it is one entry, and goes on"
            );
            end.into_iter().for_each(|end| ticket.ends_as(end));
            drop(ticket);
            let (stats, rows) = (traffic.snapshot(), traffic.activities().list());
            let websockets = &stats.websockets;
            assert_eq!((websockets.ended[counted], websockets.ended.values().sum::<u64>()), (1, 1), "{counted}");
            assert_eq!((websockets.open, websockets.opened, stats.requests), (0, 1, 1), "{counted}");
            assert_eq!((rows.len(), rows[0].outcome, rows[0].bytes_up, rows[0].bytes_down), (1, Some(counted), 3, 4));
        }
    }
}
