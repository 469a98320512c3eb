//! What is known of a session whose connections are decrypted: with which certificate authority, and which of its programs do
//! not trust it. Decides on no connection and reads no byte of one.

use crate::health::{Code, Tracker};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

/// Kinds of programs and hosts that are remembered. Agents have a handful; whoever invents more is not decrypted any more.
const MOST: usize = 64;

/// How a session's connections are decrypted.
#[derive(Debug)]
pub struct Interception {
    /// The certificate authority that its agent was started with; `None`: there is none that can be used.
    pub authority: Option<String>,
    /// Whether the agent gets its list of connectors from the API.
    pub connectors: bool,
    /// By host the session's own upstream, where its way out is not the engine's.
    pub upstreams: BTreeMap<String, String>,
    /// As the session is named in conditions.
    session: String,
    health: Tracker,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What a kind of program made of our certificate for a host: whether it has sent a request.
    trust: BTreeMap<(String, String), bool>,
    /// What conditions stand.
    told: BTreeSet<String>,
    /// Hosts that were connected to in advance.
    warmed: BTreeSet<String>,
}

impl Interception {
    /// Nothing is known yet. `session`: its name in conditions, which end with this.
    pub fn new(
        authority: Option<String>,
        connectors: bool,
        upstreams: BTreeMap<String, String>,
        session: String,
        health: Tracker,
    ) -> Self {
        Self { authority, connectors, upstreams, session, health, known: Mutex::default() }
    }

    /// Whether this kind of program may still be shown our certificate for that host. `shape` tells kinds of programs apart.
    pub fn may(&self, host: &str, shape: &str) -> bool {
        let known = self.lock();
        match known.trust.get(&key(host, shape)) {
            Some(trusts) => *trusts,
            None => known.trust.len() < MOST,
        }
    }

    /// It has sent a request: it trusts the certificate.
    pub fn trusts(&self, host: &str, shape: &str) {
        let mut known = self.lock();
        if known.trust.len() < MOST {
            known.trust.insert(key(host, shape), true);
        }
    }

    /// Whether it has ever sent a request.
    pub fn has_trusted(&self, host: &str, shape: &str) -> bool {
        self.lock().trust.get(&key(host, shape)) == Some(&true)
    }

    /// It is not shown our certificate any more, until the session ends. The sentence says why.
    pub fn refuses(&self, host: &str, shape: &str, sentence: &str) {
        self.lock().trust.insert(key(host, shape), false);
        self.tell(host, sentence);
    }

    /// Says why connections to a host (or, without one, any) are not decrypted; until the session ends.
    pub fn tell(&self, host: &str, sentence: &str) {
        let subject = if host.is_empty() { self.session.clone() } else { format!("{}, {host}", self.session) };
        if self.lock().told.insert(subject.clone()) {
            tracing::warn!("{subject}: {sentence}");
        }
        self.health.set(Code::NotDecrypted, Some(&subject), sentence);
    }

    /// True the first time that a host is asked for.
    pub fn warms(&self, host: &str) -> bool {
        self.lock().warmed.insert(host.to_owned())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(host: &str, shape: &str) -> (String, String) {
    (host.to_ascii_lowercase(), shape.to_owned())
}

impl Drop for Interception {
    fn drop(&mut self) {
        let told = std::mem::take(&mut self.lock().told);
        told.iter().for_each(|subject| self.health.clear(Code::NotDecrypted, Some(subject)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interception(health: &Tracker) -> Interception {
        Interception::new(Some("0".into()), true, BTreeMap::new(), "claude (pid 1)".into(), health.clone())
    }

    #[test]
    fn a_program_that_does_not_trust_us_is_told_apart_by_host_and_shape_until_the_session_ends() {
        let health = Tracker::default();
        let session = interception(&health);
        session.trusts("a", "agent");
        session.refuses("a", "child", "why");
        for (host, shape, may) in [("a", "child", false), ("A", "child", false), ("a", "agent", true), ("b", "child", true)] {
            assert_eq!(session.may(host, shape), may, "{host} {shape}");
        }
        let conditions = health.visible();
        assert_eq!((conditions.len(), conditions[0].subject.as_deref()), (1, Some("claude (pid 1), a")));
        drop(session);
        assert_eq!(health.visible(), []);
    }

    #[test]
    fn who_invents_kinds_of_programs_is_not_decrypted_any_more() {
        let session = interception(&Tracker::default());
        for n in 0..MOST * 2 {
            session.trusts("a", &n.to_string());
        }
        assert!(session.may("a", "0") && !session.may("a", "another"));
        assert_eq!(session.lock().trust.len(), MOST);
    }
}
