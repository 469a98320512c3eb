//! `GET /_leeward/v1/events`: what changes, as server-sent events. Ends with its generation, so that readers reconnect.
//!
//! A reader that does not keep up is told less often, since each event says how things are and not what has happened;
//! one that reads nothing at all is left.

use crate::{
    proxy::{Mode, Proxy, reply::Reply},
    status::activity::Seen,
};
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

/// Requests are looked at this often.
const LOOK: Duration = Duration::from_millis(250);
/// The counters every so many looks.
const COUNTERS: u32 = 4;
/// Something is said at least this often, so that either side notices when the other is gone.
const BEAT: Duration = Duration::from_secs(15);
/// A reader that takes nothing for this long is left.
const PATIENCE: Duration = Duration::from_secs(10);
/// Events that may wait for their reader.
const WAITING: usize = 2;

/// Opens the stream. It begins with how things are.
pub(super) fn open(proxy: &Arc<Proxy>) -> Response<Reply> {
    let (send, events) = mpsc::channel(WAITING);
    let mut mode = proxy.mode.clone();
    let teller = Teller { proxy: proxy.clone(), send };
    proxy.tasks.spawn(async move {
        tokio::select! {
            () = teller.tell() => {}
            () = Mode::reaches(&mut mode, Mode::Draining) => {}
        }
    });
    let mut response = Response::new(Reply::Open(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

struct Teller {
    proxy: Arc<Proxy>,
    send: mpsc::Sender<Bytes>,
}

impl Teller {
    async fn tell(self) {
        // The reader that left is noticed by the send that fails.
        self.tell_all().await.ok();
    }

    async fn tell_all(&self) -> Result<(), Gone> {
        let shared = &self.proxy.shared;
        let (mut status, mut stats, mut seen) = (Vec::new(), Vec::new(), Seen::default());
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0;
        let mut spoken = Instant::now();
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = self.send.closed() => return Err(Gone),
            }
            let mut said = false;
            said |=
                self.say_if_new("status", &serde_json::to_vec(&shared.live_status()).unwrap_or_default(), &mut status).await?;
            if count % COUNTERS == 0 {
                said |= self.say_if_new("stats", &super::stats(&self.proxy), &mut stats).await?;
            }
            count = count.wrapping_add(1);
            let requests = shared.traffic.activities().changes(&mut seen);
            if !requests.is_empty() {
                let json = serde_json::to_vec(&serde_json::json!({ "requests": requests })).unwrap_or_default();
                self.say(event("activity", &json)).await?;
                said = true;
            }
            if said {
                spoken = Instant::now();
            } else if spoken.elapsed() >= BEAT {
                self.say(Bytes::from_static(b":\n\n")).await?;
                spoken = Instant::now();
            }
        }
    }

    async fn say_if_new(&self, name: &str, now: &[u8], last: &mut Vec<u8>) -> Result<bool, Gone> {
        if now == last {
            return Ok(false);
        }
        self.say(event(name, now)).await?;
        now.clone_into(last);
        Ok(true)
    }

    async fn say(&self, text: Bytes) -> Result<(), Gone> {
        match timeout(PATIENCE, self.send.send(text)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }
}

/// Nobody reads any more.
struct Gone;

/// JSON has no line breaks, so it is one line of data.
fn event(name: &str, json: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(json.len() + name.len() + 16);
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\ndata: ");
    text.extend_from_slice(json);
    text.extend_from_slice(b"\n\n");
    text.into()
}
