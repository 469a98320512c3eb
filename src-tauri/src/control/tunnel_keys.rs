//! Which tokens open tunnels, for whom, and who may wait for a session that is about to register again. Opens none itself.
//!
//! A session's key ends with its session. Where the engine ends the control stream itself (a restart, a take-over), the session
//! registers again a moment later: until then its key stays good here, and an engine that is new waits for it.

use super::{Interception, Mode};
use crate::config::{Egress, Secret};
use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{Instant, timeout_at},
};

/// 128 bits in hexadecimal digits at least: shorter ones could be guessed.
const LENGTH: RangeInclusive<usize> = 32..=128;
/// A session whose stream has ended registers again within this, if it ever does.
const GAP: Duration = Duration::from_secs(10);
/// Start-up fetches of agents wait for 5 s.
const LONGEST: Duration = Duration::from_secs(5);
/// Clients that wait at once: those of twenty agents that start. Strangers must not pile up more.
const PLACES: usize = 256;

/// What opens tunnels for a session's programs, and nothing else. It ends with the session.
#[derive(Clone, Debug)]
pub struct TunnelKey {
    /// The session's number.
    pub session: u64,
    /// The password in `Proxy-Authorization`.
    pub token: Secret,
    /// The session's name, as others see it.
    pub id: String,
    /// The session's agent.
    pub agent: String,
    /// The session's way out, where it is not the engine's.
    pub egress: Option<Egress>,
    /// How its connections are decrypted; `None`: they are not.
    pub interception: Option<Arc<Interception>>,
    used: Arc<AtomicBool>,
}

impl TunnelKey {
    /// A key; its session's number is set when it is registered.
    pub fn new(token: Secret, id: String, agent: String, egress: Option<Egress>) -> Self {
        Self { session: 0, token, id, agent, egress, interception: None, used: Arc::default() }
    }

    /// The same for a session whose connections are decrypted so.
    pub fn decrypted(self, interception: Option<Arc<Interception>>) -> Self {
        Self { interception, ..self }
    }

    pub(super) fn of_session(self, session: u64) -> Self {
        Self { session, ..self }
    }

    /// True once: for the session's first CONNECT.
    pub fn is_first_use(&self) -> bool {
        !self.used.swap(true, Relaxed)
    }
}

/// Whether a text has the form of a token: what has not is nobody's.
pub fn is_tunnel_token(text: &str) -> bool {
    LENGTH.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Why a token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// No session has it.
    Wrong,
    /// One may come that has it, and too many clients wait for such already.
    TooManyWait,
}

#[derive(Debug)]
struct Known {
    open: BTreeMap<u64, TunnelKey>,
    /// Of streams that the engine has ended, and until when they are good.
    lingering: Vec<(Instant, TunnelKey)>,
    /// Since when a session may be missing that is about to register.
    gap_since: Instant,
}

/// The keys of all sessions.
#[derive(Debug)]
pub(super) struct TunnelKeys {
    known: Mutex<Known>,
    registered: Notify,
    places: Semaphore,
}

impl Default for TunnelKeys {
    fn default() -> Self {
        let known = Known { open: BTreeMap::new(), lingering: Vec::new(), gap_since: Instant::now() };
        Self { known: Mutex::new(known), registered: Notify::new(), places: Semaphore::new(PLACES) }
    }
}

impl TunnelKeys {
    fn known(&self) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        known.lingering.retain(|(until, _)| *until > now);
        known
    }

    pub(super) fn add(&self, key: TunnelKey) {
        self.known().open.insert(key.session, key);
        self.registered.notify_waiters();
    }

    /// The session's stream has ended; `mode`: that of the generation that it was of.
    pub(super) fn remove(&self, session: u64, mode: Mode) {
        let mut known = self.known();
        let Some(key) = known.open.remove(&session) else { return };
        known.gap_since = Instant::now();
        if mode != Mode::Serving {
            known.lingering.push((Instant::now() + GAP, key));
        }
    }

    /// Whether a session that is open, or about to be again, has this certificate authority.
    pub(super) fn use_authority(&self, id: &str) -> bool {
        let known = self.known();
        let mut all = known.lingering.iter().map(|(_, key)| key).chain(known.open.values());
        all.any(|key| key.interception.as_ref().is_some_and(|i| i.authority.as_deref() == Some(id)))
    }

    /// All are compared, so that the time says nothing about which one it resembles.
    pub(super) fn find(&self, token: &str) -> Option<TunnelKey> {
        let known = self.known();
        let all = known.lingering.iter().map(|(_, key)| key).chain(known.open.values());
        all.fold(None, |found, key| if key.token.matches(token) { Some(key.clone()) } else { found })
    }

    /// As `find`; where a session may be about to register with this token, waits for it.
    pub(super) async fn awaited(&self, token: &str) -> Result<TunnelKey, NoKey> {
        if let Some(key) = self.find(token) {
            return Ok(key);
        }
        let now = Instant::now();
        let until = (self.known().gap_since + GAP).min(now + LONGEST);
        if !is_tunnel_token(token) || until <= now {
            return Err(NoKey::Wrong);
        }
        let _place = self.places.try_acquire().map_err(|_| NoKey::TooManyWait)?;
        let registers = async {
            loop {
                let mut registered = pin!(self.registered.notified());
                registered.as_mut().enable();
                if let Some(key) = self.find(token) {
                    return key;
                }
                registered.await;
            }
        };
        timeout_at(until, registers).await.map_err(|_| NoKey::Wrong)
    }
}

/// What a guard removes its session's key with.
#[derive(Debug)]
pub(super) struct OfGeneration(pub(super) watch::Receiver<Mode>);

impl OfGeneration {
    pub(super) fn mode(&self) -> Mode {
        *self.0.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{task::JoinSet, time::advance};

    fn key(session: u64, token: &str) -> TunnelKey {
        TunnelKey { session, ..TunnelKey::new(Secret::new(token.into()), "a-1".into(), "a".into(), None) }
    }

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[tokio::test(start_paused = true)]
    async fn a_token_is_waited_for_while_its_session_may_be_about_to_register_and_no_longer() {
        let keys = Arc::new(TunnelKeys::default());
        // No form of a token: at once, always.
        for text in ["", "short", "0123456789abcdef0123456789abcde ", &"x".repeat(129)] {
            let began = Instant::now();
            assert_eq!(keys.awaited(text).await.unwrap_err(), NoKey::Wrong);
            assert_eq!(began.elapsed(), Duration::ZERO, "{text}");
        }
        for (since_gap, comes_after, waits, found) in [
            (0, Some(3000), 3000, true),
            (0, None, 5000, false),
            (7000, None, 3000, false),
            (7000, Some(100), 100, true),
            (10_000, None, 0, false),
            (60_000, None, 0, false),
        ] {
            let keys = Arc::new(TunnelKeys::default());
            advance(Duration::from_millis(since_gap)).await;
            let mut tasks = JoinSet::new();
            if let Some(after) = comes_after {
                let keys = keys.clone();
                tasks.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    keys.add(key(1, TOKEN));
                });
            }
            let began = Instant::now();
            let got = keys.awaited(TOKEN).await;
            assert_eq!(got.is_ok(), found, "{since_gap} {comes_after:?}");
            let took = began.elapsed();
            let expected = Duration::from_millis(waits);
            assert!(took >= expected && took < expected + Duration::from_millis(5), "{since_gap} {comes_after:?}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_outlives_its_stream_only_where_the_engine_ended_it() {
        for (mode, lingers) in [(Mode::Serving, false), (Mode::Draining, true), (Mode::Closing, true)] {
            let keys = TunnelKeys::default();
            keys.add(key(1, TOKEN));
            let uses = [(); 3].map(|()| keys.find(TOKEN).unwrap().is_first_use());
            assert_eq!(uses, [true, false, false], "one session has one first CONNECT");
            keys.remove(1, mode);
            assert_eq!(keys.find(TOKEN).is_some(), lingers, "{mode:?}");
            advance(GAP + Duration::from_millis(2)).await;
            assert!(keys.find(TOKEN).is_none(), "{mode:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_wait_and_the_rest_learns_it_at_once() {
        let keys = Arc::new(TunnelKeys::default());
        let mut waiting = JoinSet::new();
        for _ in 0..PLACES {
            let keys = keys.clone();
            waiting.spawn(async move { keys.awaited("ffffffffffffffffffffffffffffffff").await.is_err() });
        }
        while keys.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(keys.awaited(TOKEN).await.unwrap_err(), NoKey::TooManyWait);
        keys.add(key(1, TOKEN));
        assert!(keys.awaited(TOKEN).await.is_ok(), "a registered one waits for nobody");
        assert!(waiting.join_all().await.into_iter().all(|refused| refused));
        assert_eq!(keys.places.available_permits(), PLACES);
    }

    #[test]
    fn nothing_that_holds_a_token_shows_it() {
        use crate::control::{Session, Sessions};
        let egress = serde_json::from_str(r#"{"proxies":{"HTTPS_PROXY":"http://me:hush@gate:3128"}}"#).unwrap();
        let key = TunnelKey { egress: Some(egress), ..key(1, TOKEN) };
        let keys = TunnelKeys::default();
        keys.add(key.clone());
        let sessions = Sessions::default();
        let mut guard = sessions.open(Session {
            id: "a-1".into(),
            agent: "a".into(),
            pid: 1,
            since_unix_ms: 0,
            covers: Default::default(),
            folder: None,
            door: None,
            port: 0,
        });
        guard.opens_tunnels(key.clone(), watch::channel(Mode::Serving).1);
        let lingers = TunnelKeys::default();
        lingers.add(key.clone());
        lingers.remove(1, Mode::Draining);
        let all: [&dyn std::fmt::Debug; 6] = [&key, &keys, &lingers, &sessions, &guard, &key.egress];
        for shown in all.map(|thing| format!("{thing:?}")) {
            assert!(!shown.contains(TOKEN) && !shown.contains("hush"), "{shown}");
        }
    }
}
