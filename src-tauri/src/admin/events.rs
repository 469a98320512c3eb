//! `GET /_leeward/v1/events`: what changes, as server-sent events. Ends with its generation, so that readers reconnect.
//!
//! A reader that does not keep up gets fewer events, since each event says how things are and not what has happened;
//! one that reads nothing at all is left. No task runs for it: the events are made while the connection asks for them.

use super::state::Admin;
use crate::telemetry::Seen;
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use http::{HeaderValue, header};
use http_body::Frame;
use serde::Serialize;
use serde_json::json;
use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// Requests are looked at this often.
const LOOK: Duration = Duration::from_millis(250);
/// The counters every so many looks.
const COUNTERS: u32 = 4;
/// Something is said at least this often, so that either side notices when the other is gone.
const BEAT: Duration = Duration::from_secs(15);
/// A reader that takes nothing for this long is left.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens the stream. It begins with how things are.
pub(super) async fn open(State(admin): State<Arc<Admin>>) -> Response {
    let draining = admin.draining();
    let events = stream::unfold(Teller::new(admin), async |mut teller| Some((Ok::<_, Infallible>(teller.next().await), teller)));
    let sse = Sse::new(events.take_until(draining)).keep_alive(KeepAlive::new().interval(BEAT));
    let mut response = sse.into_response().map(|body| Body::new(Patient::new(body)));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

struct Teller {
    admin: Arc<Admin>,
    looks: Interval,
    count: u32,
    /// What was last said of each.
    status: String,
    stats: String,
    seen: Seen,
    /// What the last look has found and nobody has asked for yet.
    found: VecDeque<Event>,
}

impl Teller {
    fn new(admin: Arc<Admin>) -> Self {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            admin,
            looks,
            count: 0,
            status: String::new(),
            stats: String::new(),
            seen: Seen::default(),
            found: VecDeque::new(),
        }
    }

    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.found.pop_front() {
                return event;
            }
            self.looks.tick().await;
            self.look();
        }
    }

    fn look(&mut self) {
        self.found.extend(if_new("status", &self.admin.live_status(), &mut self.status));
        if self.count.is_multiple_of(COUNTERS) {
            self.found.extend(if_new("stats", &self.admin.stats(), &mut self.stats));
        }
        self.count = self.count.wrapping_add(1);
        let requests = self.admin.traffic.activities().changes(&mut self.seen);
        if !requests.is_empty() {
            self.found.push_back(event("activity", json!({ "requests": requests }).to_string()));
        }
    }
}

fn if_new(name: &str, now: &impl Serialize, last: &mut String) -> Option<Event> {
    let now = serde_json::to_string(now).unwrap_or_default();
    (now != *last).then(|| {
        last.clone_from(&now);
        event(name, now)
    })
}

/// JSON has no line breaks, so it is one line of data.
fn event(name: &str, json: String) -> Event {
    Event::default().event(name).data(json)
}

/// A body that ends when its reader has not come for more in time.
///
/// A connection asks for the next piece as soon as it has room for it, so the time from one piece to the next question is
/// how long the reader has taken nothing.
pub(super) struct Patient {
    body: Body,
    given_at: Option<Instant>,
}

impl Patient {
    pub(super) fn new(body: Body) -> Self {
        Self { body, given_at: None }
    }
}

impl HttpBody for Patient {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.given_at.take().is_some_and(|at| at.elapsed() >= PATIENCE) {
            self.body = Body::empty();
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.given_at = Some(Instant::now());
        Poll::Ready(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_left_and_a_slow_one_is_not() {
        let pieces = stream::repeat_with(|| Ok::<_, Infallible>("piece"));
        let mut body = Patient { body: Body::from_stream(pieces), given_at: None };
        for pause in [0, 9, 9] {
            tokio::time::advance(Duration::from_secs(pause)).await;
            assert!(body.frame().await.unwrap().is_ok());
        }
        tokio::time::advance(PATIENCE).await;
        assert!(body.frame().await.is_none(), "it took nothing");
        assert!(body.frame().await.is_none(), "an end is an end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_may_wait_for_the_next_piece_as_long_as_it_likes() {
        let pieces = stream::iter([0, 3600]).then(async |seconds| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, Infallible>("piece")
        });
        let mut body = Patient { body: Body::from_stream(pieces), given_at: None };
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().now_or_never().is_none(), "it asks, and there is nothing yet");
        assert!(body.frame().await.unwrap().is_ok());
    }
}
