//! Whether upstreams can be reached, by what their dials and responses met last. Written by the pool, read with the status.

use super::traffic::Traffic;
use crate::{
    health::unix_ms,
    status::{
        Status,
        faults::Cause,
        recent::{Reach, ReachState, Recent},
    },
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};
use url::Url;

/// What is known of the way to one host and port. Clones of its `Arc` write the same.
#[derive(Debug, Default)]
pub struct Reaching {
    /// In milliseconds since 1970; 0: never, or not since the network changed.
    reached: AtomicU64,
    /// True while `trouble` holds something, so that the good path takes no lock.
    fails: AtomicBool,
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Clone, Debug)]
struct Trouble {
    since_unix_ms: u64,
    cause: Cause,
    reason: Option<&'static str>,
    says: String,
    next: &'static str,
}

impl Reaching {
    /// A connection was made, or a response came.
    pub fn succeeded(&self) {
        self.reached.store(unix_ms().max(1), Relaxed);
        if self.fails.swap(false, Relaxed) {
            *self.lock() = None;
        }
    }

    /// No connection could be made. `says` and `next`: for people.
    pub fn failed(&self, cause: Cause, reason: Option<&'static str>, says: String, next: &'static str) {
        let mut trouble = self.lock();
        let since_unix_ms = trouble.as_ref().map_or_else(unix_ms, |t| t.since_unix_ms);
        *trouble = Some(Trouble { since_unix_ms, cause, reason, says, next });
        self.fails.store(true, Relaxed);
    }

    /// What was known is about another network.
    pub fn forget(&self) {
        self.reached.store(0, Relaxed);
        self.fails.store(false, Relaxed);
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn picture(&self, name: String) -> Reach {
        let trouble = self.lock().clone();
        let reached = Some(self.reached.load(Relaxed)).filter(|at| *at > 0);
        let state = match (&trouble, reached) {
            (Some(_), _) => ReachState::Failing,
            (None, Some(_)) => ReachState::Reached,
            (None, None) => ReachState::NotTried,
        };
        Reach {
            name,
            state,
            reached_unix_ms: reached,
            failing_since_unix_ms: trouble.as_ref().map(|t| t.since_unix_ms),
            cause: trouble.as_ref().map(|t| t.cause.as_str().to_owned()),
            reason: trouble.as_ref().and_then(|t| t.reason).map(str::to_owned),
            says: trouble.as_ref().map(|t| t.says.clone()),
            next: trouble.map(|t| t.next.to_owned()),
        }
    }
}

/// All of them, by `HOST:PORT`.
pub(super) type Reaches = Mutex<BTreeMap<String, Arc<Reaching>>>;

impl Traffic {
    /// The way to a host and port, made when first asked for.
    pub fn reaching(&self, place: &str) -> Arc<Reaching> {
        let mut all = self.reaches.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(place.to_owned()).or_default().clone()
    }

    /// What the traffic knows of a status: the last minutes, the day, and the way to the default upstream.
    pub fn fill(&self, status: &mut Status) {
        let window = self.recorded.lock().unwrap_or_else(PoisonError::into_inner).recent.window();
        status.recent = Recent { waiting: self.activities.waiting(), ..window };
        status.today = self.today.count(self.counted());
        status.reach = match Url::parse(&status.upstream) {
            Ok(url) => {
                let host = url.host_str().unwrap_or_default();
                let name = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
                let port = url.port_or_known_default().unwrap_or(443);
                self.reaching(&format!("{}:{port}", host.trim_matches(['[', ']']))).picture(name)
            }
            Err(_) => Reach::default(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_upstream_is_not_tried_then_reached_then_failing_and_forgotten_with_its_network() {
        let traffic = Traffic::default();
        let look = |upstream: &str| {
            let mut status = Status { upstream: upstream.into(), ..Status::starting() };
            traffic.fill(&mut status);
            status.reach
        };
        let api = "https://api.anthropic.com/";
        let Reach { name, state, reached_unix_ms, .. } = look(api);
        assert_eq!((name.as_str(), state, reached_unix_ms), ("api.anthropic.com", ReachState::NotTried, None));
        let reaching = traffic.reaching("api.anthropic.com:443");
        reaching.succeeded();
        assert_eq!(look(api).state, ReachState::Reached);
        reaching.failed(Cause::Dns, Some("DNS fails"), "can't".into(), "check");
        let first = look(api);
        reaching.failed(Cause::Connect, None, "cannot".into(), "look");
        let second = look(api);
        assert_eq!((first.state, first.cause.as_deref()), (ReachState::Failing, Some("dns")));
        assert_eq!((second.cause.as_deref(), second.says.as_deref()), (Some("connect"), Some("cannot")), "what was met last");
        assert_eq!(first.failing_since_unix_ms, second.failing_since_unix_ms, "one outage");
        assert!(second.reached_unix_ms.is_some());
        reaching.succeeded();
        assert_eq!((look(api).state, look(api).cause), (ReachState::Reached, None));
        reaching.forget();
        assert_eq!(look(api).state, ReachState::NotTried);
        assert_eq!(look("http://[::1]:80/x").name, "[::1]");
        assert_eq!(look("http://127.0.0.1:8000").name, "127.0.0.1:8000");
    }
}
