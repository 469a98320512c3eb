//! The upstreams that `wrap` sessions brought along. Shared by all generations, and written down for engines to come.
//! They end with the last session that named them; a name never leads elsewhere while it is known.

use crate::config::Egress;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use url::Url;

/// How long an upstream stays known without a session: a restarted engine and a `wrap` that connects again lose nothing.
const GRACE: Duration = Duration::from_secs(60);

/// Where a session's upstream leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionUpstream {
    /// The API or gateway.
    pub(crate) url: Url,
    /// The way there, where it is not the engine's.
    pub(crate) egress: Option<Egress>,
    /// It stays without a session: `leeward env` exported it to a terminal, whose end nobody sees.
    pub(crate) lasting: bool,
}

/// Writes the upstreams that sessions brought along to where a restarted engine finds them.
pub(crate) type Remember = Box<dyn Fn(&BTreeMap<String, SessionUpstream>) -> io::Result<()> + Send>;

/// A name is known already, and leads elsewhere.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is the name of another upstream already, which a session still uses")]
pub(crate) struct Taken(pub(crate) String);

/// What came of a session's upstreams.
#[derive(Debug)]
pub(crate) struct Learned {
    /// They are known for as long as this lives, and a little longer.
    pub(crate) hold: Hold,
    /// Whether anything was written down; an error when it could not be.
    pub(crate) written: io::Result<bool>,
}

#[derive(Debug)]
struct Known {
    upstream: SessionUpstream,
    /// Sessions that named it and are open.
    held: u32,
    /// Since when none is.
    since: Instant,
}

impl Known {
    fn is_over(&self) -> bool {
        self.held == 0 && !self.upstream.lasting && self.since.elapsed() >= GRACE
    }
}

type Names = Arc<Mutex<BTreeMap<String, Known>>>;

/// Names and where they lead.
pub(super) struct SessionUpstreams {
    names: Names,
    /// One writer at a time: two would share a temporary file, and the older list could win.
    remember: Mutex<Remember>,
}

impl SessionUpstreams {
    /// `known`: of earlier sessions, which have the usual time to connect again.
    pub(super) fn new(known: BTreeMap<String, SessionUpstream>, remember: Remember) -> Self {
        let since = Instant::now();
        let names = known.into_iter().map(|(name, upstream)| (name, Known { upstream, held: 0, since })).collect();
        Self { names: Arc::new(Mutex::new(names)), remember: Mutex::new(remember) }
    }

    /// Where a name leads.
    pub(super) fn get(&self, name: &str) -> Option<SessionUpstream> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(name).filter(|known| !known.is_over()).map(|known| known.upstream.clone())
    }

    /// Makes the upstreams of a session known.
    ///
    /// # Errors
    /// `Taken` when a known name would lead elsewhere; then none of them is made known.
    pub(super) fn learn(&self, given: BTreeMap<String, SessionUpstream>) -> Result<Learned, Taken> {
        let remember = self.remember.lock().unwrap_or_else(PoisonError::into_inner);
        let (hold, changed) = {
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let before = names.len();
            names.retain(|_, known| !known.is_over());
            let mut is_changed = names.len() != before;
            let leads_elsewhere = |(name, upstream): &(&String, &SessionUpstream)| {
                names
                    .get(*name)
                    .is_some_and(|known| (&known.upstream.url, &known.upstream.egress) != (&upstream.url, &upstream.egress))
            };
            if let Some((name, _)) = given.iter().find(leads_elsewhere) {
                return Err(Taken(name.clone()));
            }
            let held = given.keys().cloned().collect();
            for (name, upstream) in given {
                match names.entry(name) {
                    Entry::Occupied(mut known) => {
                        let known = known.get_mut();
                        known.held += 1;
                        is_changed |= upstream.lasting && !known.upstream.lasting;
                        known.upstream.lasting |= upstream.lasting;
                    }
                    Entry::Vacant(vacant) => {
                        vacant.insert(Known { upstream, held: 1, since: Instant::now() });
                        is_changed = true;
                    }
                }
            }
            let all = is_changed
                .then(|| names.iter().map(|(name, known)| (name.clone(), known.upstream.clone())).collect::<BTreeMap<_, _>>());
            (Hold { names: self.names.clone(), held }, all)
        };
        let written = changed.map_or(Ok(false), |all| remember(&all).map(|()| true));
        Ok(Learned { hold, written })
    }
}

/// A session's claim on its upstreams; dropping it lets them go.
#[derive(Debug)]
pub(crate) struct Hold {
    names: Names,
    held: Vec<String>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for name in &self.held {
            if let Some(known) = names.get_mut(name) {
                known.held = known.held.saturating_sub(1);
                known.since = Instant::now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    type Written = Arc<Mutex<Vec<Vec<String>>>>;

    fn upstreams(known: BTreeMap<String, SessionUpstream>) -> (SessionUpstreams, Written) {
        let written = Written::default();
        let writes = written.clone();
        let remember: Remember = Box::new(move |all| {
            writes.lock().unwrap().push(all.keys().cloned().collect());
            Ok(())
        });
        (SessionUpstreams::new(known, remember), written)
    }

    fn one(name: &str, url: &str, lasting: bool) -> BTreeMap<String, SessionUpstream> {
        BTreeMap::from([(name.to_owned(), SessionUpstream { url: Url::parse(url).unwrap(), egress: None, lasting })])
    }

    const A: &str = "https://a.corp/";
    const B: &str = "https://b.corp/";

    #[tokio::test(start_paused = true)]
    async fn a_known_name_never_leads_elsewhere_and_both_ends_of_a_clash_stay_as_they_were() {
        let (all, written) = upstreams(BTreeMap::new());
        let first = all.learn(one("gw-1", A, false)).unwrap();
        let mut clash = one("gw-1", B, false);
        clash.extend(one("gw-0", B, false));
        assert_eq!(all.learn(clash).unwrap_err(), Taken("gw-1".into()));
        assert_eq!((all.get("gw-1").unwrap().url.as_str(), all.get("gw-0")), (A, None));
        // Also in its last minute.
        drop(first);
        assert!(all.learn(one("gw-1", B, false)).is_err());
        advance(GRACE).await;
        assert_eq!(all.get("gw-1"), None);
        let _second = all.learn(one("gw-1", B, false)).unwrap();
        assert_eq!(all.get("gw-1").unwrap().url.as_str(), B);
        assert_eq!(*written.lock().unwrap(), [["gw-1"], ["gw-1"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_ends_with_the_last_session_that_named_it() {
        let (all, written) = upstreams(BTreeMap::new());
        let [first, second] = [(); 2].map(|()| all.learn(one("gw-1", A, false)).unwrap());
        assert!(matches!((&first.written, &second.written), (Ok(true), Ok(false))));
        drop(first);
        advance(GRACE * 10).await;
        assert!(all.get("gw-1").is_some(), "the second session is open");
        drop(second);
        advance(GRACE / 2).await;
        let again = all.learn(one("gw-1", A, false)).unwrap();
        advance(GRACE * 10).await;
        assert!(all.get("gw-1").is_some(), "it has connected again");
        drop(again);
        advance(GRACE).await;
        assert_eq!(all.get("gw-1"), None);
        let _other = all.learn(one("gw-2", B, false)).unwrap();
        assert_eq!(written.lock().unwrap().last().unwrap(), &["gw-2"], "what has ended is not written down any more");
    }

    #[tokio::test(start_paused = true)]
    async fn earlier_sessions_have_time_to_connect_again_and_a_terminal_has_all_the_time() {
        let mut known = one("gw-1", A, false);
        known.extend(one("gw-env", B, true));
        let (all, _) = upstreams(known);
        advance(GRACE - Duration::from_secs(1)).await;
        assert!(all.get("gw-1").is_some());
        advance(GRACE * 1000).await;
        assert_eq!((all.get("gw-1"), all.get("gw-env").unwrap().url.as_str()), (None, B));
        drop(all.learn(one("gw-3", A, true)).unwrap());
        advance(GRACE * 1000).await;
        assert!(all.get("gw-3").is_some());
    }
}
