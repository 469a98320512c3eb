//! Conditions: what is wrong right now, in stable codes and plain sentences. A healthy thing is absent.
//!
//! Knows no other room: whoever sees a fault sets a condition, whoever sees it gone clears it.

use crate::escape;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;

/// How bad a condition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Works, and the user should know.
    Degraded,
    /// Agents cannot work.
    Broken,
}

/// Every condition there is. Codes are public and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Another program holds the configured port; Leeward serves on another one.
    PortTaken,
    /// Another program has the same port on the other loopback address, where `localhost` may lead.
    OtherLoopbackTaken,
    /// The listening socket is gone and could not be bound again yet.
    ListenerLost,
    /// Two self-probes in a row went unanswered.
    ProbeFailing,
    /// Accepting fails for lack of file descriptors or memory, or the self-probe cannot be made for it.
    ResourcesExhausted,
    /// No connection to an upstream can be made.
    UpstreamUnreachable,
    /// An upstream's certificate is not trusted.
    CertificateUntrusted,
    /// The config file on disk is invalid; the previous one stays in force.
    ConfigInvalid,
    /// Other users can read a file with secrets of the config.
    ConfigExposed,
    /// The state folder cannot be written.
    StateUnwritable,
    /// The state folder cannot be used, so that its files are in memory.
    StateNotKept,
    /// The company proxy cannot be reached, refuses, or wants a login.
    CompanyProxy,
    /// A stream of an upstream has been silent for long.
    StreamSilent,
    /// Each response is buffered before it is sent on, because several broke off.
    ResponsesBuffered,
    /// All connections that Leeward may have to an upstream are in use, and requests are refused for it.
    PoolFull,
    /// Clients have as many connections as Leeward takes, and requests on further ones are refused.
    ConnectionsFull,
    /// So much was sent again to an upstream that requests fail which would have been repaired.
    RetryBudgetSpent,
    /// The history of faults cannot be kept.
    LedgerUnusable,
    /// The log cannot be written.
    LogUnwritable,
    /// An agent's connections that should be decrypted are tunnelled instead.
    NotDecrypted,
    /// The engine's owner has failed, and nothing is accepted any more.
    EngineFailed,
}

impl Code {
    /// Severity and the time a fault must last before anyone sees it, so that a blip stays invisible.
    pub fn traits(self) -> (Severity, Duration) {
        match self {
            Self::PortTaken | Self::ConfigInvalid | Self::StateUnwritable => (Severity::Degraded, Duration::ZERO),
            Self::ConfigExposed | Self::StateNotKept | Self::LogUnwritable => (Severity::Degraded, Duration::ZERO),
            Self::CertificateUntrusted | Self::StreamSilent | Self::ResponsesBuffered | Self::LedgerUnusable => {
                (Severity::Degraded, Duration::ZERO)
            }
            Self::RetryBudgetSpent | Self::PoolFull | Self::ConnectionsFull | Self::NotDecrypted => {
                (Severity::Degraded, Duration::ZERO)
            }
            Self::ListenerLost | Self::EngineFailed => (Severity::Broken, Duration::ZERO),
            Self::ProbeFailing => (Severity::Broken, Duration::ZERO),
            // Between two engines it is nobody's for a moment.
            Self::OtherLoopbackTaken => (Severity::Degraded, Duration::from_secs(3)),
            Self::ResourcesExhausted => (Severity::Degraded, Duration::from_millis(500)),
            Self::UpstreamUnreachable | Self::CompanyProxy => (Severity::Degraded, Duration::from_secs(2)),
        }
    }

    /// The code as it is written in JSON, metrics and documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PortTaken => "port-taken",
            Self::OtherLoopbackTaken => "other-loopback-taken",
            Self::ListenerLost => "listener-lost",
            Self::ProbeFailing => "probe-failing",
            Self::ResourcesExhausted => "resources-exhausted",
            Self::UpstreamUnreachable => "upstream-unreachable",
            Self::CertificateUntrusted => "certificate-untrusted",
            Self::ConfigInvalid => "config-invalid",
            Self::ConfigExposed => "config-exposed",
            Self::StateUnwritable => "state-unwritable",
            Self::StateNotKept => "state-not-kept",
            Self::CompanyProxy => "company-proxy",
            Self::StreamSilent => "stream-silent",
            Self::ResponsesBuffered => "responses-buffered",
            Self::PoolFull => "pool-full",
            Self::ConnectionsFull => "connections-full",
            Self::RetryBudgetSpent => "retry-budget-spent",
            Self::LedgerUnusable => "ledger-unusable",
            Self::LogUnwritable => "log-unwritable",
            Self::NotDecrypted => "not-decrypted",
            Self::EngineFailed => "engine-failed",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Condition {
    /// Stable code.
    pub code: Code,
    /// What it concerns, where there can be several (an upstream's name).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub subject: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and what to do, for the user.
    pub sentence: String,
    /// Since when, in milliseconds since 1970.
    pub since_unix_ms: u64,
}

#[derive(Debug)]
struct Entry {
    condition: Condition,
    visible_at: Instant,
}

/// By code and subject.
type Entries = BTreeMap<(Code, Option<String>), Entry>;

/// The list of conditions; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Tracker(Arc<Mutex<Entries>>);

impl Tracker {
    /// Records that something is wrong. The start time survives a new sentence.
    pub fn set(&self, code: Code, subject: Option<&str>, sentence: impl Into<String>) {
        let (severity, delay) = code.traits();
        let told = escape::lines(&sentence.into()).into_owned();
        let sentence = escape::plain(&told).into_owned();
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match map.get_mut(&(code, subject.map(str::to_owned))) {
            Some(entry) if entry.condition.sentence == sentence => {}
            Some(entry) => entry.condition.sentence = sentence,
            None => {
                if told != sentence {
                    tracing::info!(code = code.as_str(), "{told}"); // with the system's numbers
                }
                let condition =
                    Condition { code, subject: subject.map(str::to_owned), severity, sentence, since_unix_ms: unix_ms() };
                map.insert((code, subject.map(str::to_owned)), Entry { condition, visible_at: Instant::now() + delay });
            }
        }
    }

    /// Records that it is well again.
    pub fn clear(&self, code: Code, subject: Option<&str>) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !map.is_empty() {
            map.remove(&(code, subject.map(str::to_owned)));
        }
    }

    /// Whether this is wrong right now, shown or not, and not of any subject.
    pub fn stands(&self, code: Code) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&(code, None))
    }

    /// Records that nothing is known of these any more, whatever they concern.
    pub fn forget(&self, codes: &[Code]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(code, _), _| !codes.contains(code));
    }

    /// The conditions that have lasted long enough to be shown, worst first.
    pub fn visible(&self) -> Vec<Condition> {
        let now = Instant::now();
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = map.values().filter(|e| e.visible_at <= now).map(|e| e.condition.clone()).collect();
        list.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.code.cmp(&b.code)));
        list
    }
}

/// Milliseconds since 1970; 0 on a clock set before that.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_blip_is_never_seen_and_recovery_leaves_nothing() {
        let health = Tracker::default();
        health.set(Code::UpstreamUnreachable, Some("api"), "no route");
        assert_eq!(health.visible(), []);
        assert!(!health.stands(Code::UpstreamUnreachable), "it has a subject");
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(health.visible().len(), 1);
        health.set(Code::ListenerLost, None, "gone");
        assert!(health.stands(Code::ListenerLost));
        let codes: Vec<_> = health.visible().iter().map(|c| c.code).collect();
        assert_eq!(codes, [Code::ListenerLost, Code::UpstreamUnreachable], "worst first");
        health.clear(Code::UpstreamUnreachable, Some("api"));
        health.clear(Code::ListenerLost, None);
        assert_eq!(health.visible(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn the_start_survives_a_new_sentence() {
        let health = Tracker::default();
        health.set(Code::PortTaken, None, "a");
        let since = health.visible()[0].since_unix_ms;
        health.set(Code::PortTaken, None, "b");
        assert_eq!((health.visible()[0].since_unix_ms, health.visible()[0].sentence.as_str()), (since, "b"));
    }

    #[test]
    fn codes_are_written_the_same_everywhere() {
        for code in [
            Code::PortTaken,
            Code::ListenerLost,
            Code::ProbeFailing,
            Code::ResourcesExhausted,
            Code::UpstreamUnreachable,
            Code::CertificateUntrusted,
            Code::ConfigInvalid,
            Code::StateUnwritable,
            Code::StateNotKept,
            Code::CompanyProxy,
            Code::StreamSilent,
            Code::ResponsesBuffered,
            Code::ConnectionsFull,
            Code::LedgerUnusable,
            Code::LogUnwritable,
            Code::NotDecrypted,
            Code::EngineFailed,
        ] {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.as_str()));
        }
    }
}
