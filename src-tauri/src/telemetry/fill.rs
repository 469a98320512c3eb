//! What the traffic knows of a status: the last minutes, the day, tunnels, WebSockets, doors, and the way to the default upstream. Counts nothing.

use super::{reach::Reaching, traffic::Traffic};
use crate::status::{
    Status,
    recent::{Reach, Recent},
};
use std::sync::{Arc, PoisonError};
use url::Url;

impl Traffic {
    /// The way to a host and port, made when first asked for.
    pub fn reaching(&self, place: &str) -> Arc<Reaching> {
        let mut all = self.reaches.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(place.to_owned()).or_default().clone()
    }

    /// What the traffic knows of a status: the last minutes, the day, tunnels, WebSockets, doors, and the way to the default upstream.
    pub fn fill(&self, status: &mut Status) {
        let window = self.recorded.lock().unwrap_or_else(PoisonError::into_inner).recent.window();
        status.recent = Recent { waiting: self.activities.waiting(), ..window };
        status.today = self.today.count(self.counted());
        status.tunnels = self.tunnels.counts();
        status.websockets = self.websockets.counts();
        status.doors = self.doors();
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
    use crate::status::{faults::Cause, recent::ReachState};

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
