//! One request's entry, and the handle that its path through the proxy writes it with.
//!
//! A frame costs one atomic addition; everything else happens a few times a request, under a lock that only observers
//! contend for.

use crate::status::{
    activity::{Activity, Stage, Try},
    faults::Cause,
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Longer paths are cut.
const MAX_PATH: usize = 200;
/// A segment beyond this is no name; it may be a credential of some gateway's.
const MAX_SEGMENT: usize = 64;
/// Methods have names of at most this; what is longer is nonsense.
const MAX_METHOD: usize = 16;
/// Attempts that are kept; the last one takes the place of the one before it beyond that.
const MAX_TRIES: usize = 32;

#[derive(Debug)]
pub(super) struct Entry {
    id: u64,
    started: Instant,
    up: AtomicU64,
    down: AtomicU64,
    revision: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    activity: Activity,
    /// What its session counts by: the `id` of a session is another one's once a process has its number.
    session_number: Option<u64>,
    /// The next attempt sends again what has reached the upstream.
    replay: bool,
}

impl Entry {
    pub(super) fn new(id: u64, method: &str, path: &str, started: Instant) -> Self {
        let activity = Activity {
            id,
            agent: None,
            session: None,
            model: None,
            method: method.chars().take(MAX_METHOD).collect(),
            path: shown(path),
            upstream: String::new(),
            started_unix_ms: crate::health::unix_ms(),
            stage: Stage::Reading,
            attempts: Vec::new(),
            first_byte_ms: None,
            took_ms: None,
            bytes_up: 0,
            bytes_down: 0,
            status: None,
            outcome: None,
        };
        let zero = || AtomicU64::new(0);
        let told = Mutex::new(Told { activity, session_number: None, replay: false });
        Self { id, started, up: zero(), down: zero(), revision: zero(), told }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Grows with every change.
    pub(super) fn mark(&self) -> u64 {
        self.revision.load(Relaxed) + self.up.load(Relaxed) + self.down.load(Relaxed)
    }

    pub(super) fn picture(&self) -> Activity {
        let mut activity = self.told.lock().unwrap_or_else(PoisonError::into_inner).activity.clone();
        (activity.bytes_up, activity.bytes_down) = (self.up.load(Relaxed), self.down.load(Relaxed));
        activity
    }

    /// True while it has no connection.
    pub(super) fn waits(&self) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).activity.stage == Stage::Connecting
    }

    pub(super) fn end(&self, outcome: &'static str) {
        self.tell(|told, now| {
            told.activity.stage = Stage::Done;
            told.activity.took_ms = Some(now);
            told.activity.outcome = Some(outcome);
            if let Some(last) = told.activity.attempts.last_mut() {
                last.ended_ms.get_or_insert(now);
            }
        });
    }

    /// `now` is in milliseconds since the start.
    fn tell(&self, change: impl FnOnce(&mut Told, f64)) {
        let now = ms(self.started.elapsed());
        change(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner), now);
        self.revision.fetch_add(1, Relaxed);
    }
}

/// Milliseconds to the microsecond.
fn ms(time: Duration) -> f64 {
    u32::try_from(time.as_micros()).map_or(time.as_secs_f64() * 1e3, |micros| f64::from(micros) / 1e3)
}

/// A path as it may be shown: without its query, long segments and the rest of a long path left out.
fn shown(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut out = String::with_capacity(path.len().min(MAX_PATH + 4));
    for (index, segment) in path.split('/').enumerate() {
        let segment = if segment.chars().count() > MAX_SEGMENT { "…" } else { segment };
        if out.len() + segment.len() >= MAX_PATH {
            out.push_str("/…");
            break;
        }
        if index > 0 {
            out.push('/');
        }
        out.push_str(segment);
    }
    out
}

/// Writes one request's entry; of a request that nobody noted, it writes nothing. Clones write the same entry.
#[derive(Clone, Debug, Default)]
pub struct Trace(Option<Arc<Entry>>);

impl Trace {
    pub(super) fn of(entry: Arc<Entry>) -> Self {
        Self(Some(entry))
    }

    pub(super) fn entry(&self) -> Option<&Entry> {
        self.0.as_deref()
    }

    fn tell(&self, change: impl FnOnce(&mut Told, f64)) {
        if let Some(entry) = &self.0 {
            entry.tell(change);
        }
    }

    /// Bytes of the request's body came.
    pub fn up(&self, bytes: u64) {
        if let Some(entry) = &self.0 {
            entry.up.fetch_add(bytes, Relaxed);
        }
    }

    /// Bytes of a response's body came.
    pub fn down(&self, bytes: u64) {
        if let Some(entry) = &self.0 {
            entry.down.fetch_add(bytes, Relaxed);
        }
    }

    /// The program that asks.
    pub fn agent(&self, name: &str) {
        self.tell(|told, _| told.activity.agent = Some(name.to_owned()));
    }

    /// The session that it belongs to.
    pub(super) fn session(&self, id: &str, number: u64) {
        self.tell(|told, _| {
            told.activity.session = Some(id.to_owned());
            told.session_number = Some(number);
        });
    }

    /// The number of its session.
    pub(super) fn session_number(&self) -> Option<u64> {
        let entry = self.0.as_ref()?;
        entry.told.lock().unwrap_or_else(PoisonError::into_inner).session_number
    }

    /// The model that is asked for.
    pub fn model(&self, name: String) {
        self.tell(|told, _| told.activity.model = Some(name));
    }

    /// The upstream it goes to.
    pub fn upstream(&self, name: &str) {
        self.tell(|told, _| told.activity.upstream = name.to_owned());
    }

    /// An attempt begins: a connection is asked for.
    pub fn begins(&self, number: u32) {
        self.tell(|told, now| {
            told.activity.stage = Stage::Connecting;
            let replay = std::mem::take(&mut told.replay);
            if told.activity.attempts.len() >= MAX_TRIES {
                told.activity.attempts.pop();
            }
            told.activity.attempts.push(Try {
                number,
                began_ms: now,
                sent_ms: None,
                head_ms: None,
                ended_ms: None,
                connection: None,
                cause: None,
                replay,
            });
        });
    }

    /// The request goes out on a connection.
    pub fn sent(&self, reused: bool) {
        self.tell(|told, now| {
            told.activity.stage = Stage::Sent;
            if let Some(last) = told.activity.attempts.last_mut() {
                last.sent_ms = Some(now);
                last.connection = Some(if reused { "reused" } else { "fresh" });
            }
        });
    }

    /// The response's head is there.
    pub fn answered(&self) {
        self.tell(|told, now| {
            if let Some(last) = told.activity.attempts.last_mut() {
                last.head_ms = Some(now);
            }
        });
    }

    /// The response is buffered.
    pub fn held(&self) {
        self.tell(|told, _| told.activity.stage = Stage::Buffering);
    }

    /// The response goes to the client from here on.
    pub fn streams(&self) {
        self.tell(|told, _| {
            if told.activity.stage != Stage::Done {
                told.activity.stage = Stage::Streaming;
            }
        });
    }

    /// The last attempt failed.
    pub fn breaks(&self, cause: Cause) {
        self.tell(|told, now| {
            if let Some(last) = told.activity.attempts.last_mut() {
                last.ended_ms.get_or_insert(now);
                last.cause = Some(cause.as_str());
            }
        });
    }

    /// Another attempt follows, and has no connection yet.
    pub(super) fn waits(&self) {
        self.tell(|told, _| told.activity.stage = Stage::Connecting);
    }

    /// The next attempt is a replay.
    pub fn will_replay(&self) {
        self.tell(|told, _| told.replay = true);
    }

    /// The response's head goes to the client.
    pub fn first_byte(&self) {
        self.tell(|told, now| told.activity.first_byte_ms = Some(now));
    }

    /// The status that the client gets.
    pub fn status(&self, status: u16) {
        self.tell(|told, _| told.activity.status = Some(status));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_without_what_may_be_secret() {
        for (path, want) in [
            ("/v1/messages?key=secret", "/v1/messages"),
            ("/v1beta/models/gemini-3:generateContent", "/v1beta/models/gemini-3:generateContent"),
            ("/", "/"),
            ("", ""),
            ("*", "*"),
        ] {
            assert_eq!(shown(path), want);
        }
        assert_eq!(shown(&format!("/hook/{}/send", "s".repeat(65))), "/hook/…/send");
        let long = shown(&"/segment".repeat(99));
        assert!(long.len() < MAX_PATH + 8 && long.ends_with("/…"), "{long}");
    }
}
