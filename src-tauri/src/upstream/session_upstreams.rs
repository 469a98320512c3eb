//! The upstreams that `wrap` sessions brought along. Shared by all generations, and written down for engines to come.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, PoisonError, RwLock},
};
use url::Url;

/// Writes the upstreams that sessions brought along to where a restarted engine finds them.
pub(crate) type Remember = Box<dyn Fn(&BTreeMap<String, Url>) -> io::Result<()> + Send>;

/// Names and where they lead.
pub(super) struct SessionUpstreams {
    known: RwLock<BTreeMap<String, Url>>,
    /// One writer at a time: two would share a temporary file, and the older list could win.
    remember: Mutex<Remember>,
}

impl SessionUpstreams {
    pub(super) fn new(known: BTreeMap<String, Url>, remember: Remember) -> Self {
        Self { known: RwLock::new(known), remember: Mutex::new(remember) }
    }

    /// Where a name leads.
    pub(super) fn get(&self, name: &str) -> Option<Url> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Makes the upstreams of a session known; whether anything was written down.
    ///
    /// # Errors
    /// When they cannot be written down; they are known all the same.
    pub(super) fn learn(&self, given: BTreeMap<String, Url>) -> io::Result<bool> {
        let is_known = |given: &BTreeMap<String, Url>| {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            given.iter().all(|(name, url)| known.get(name) == Some(url))
        };
        if is_known(&given) {
            return Ok(false);
        }
        let remember = self.remember.lock().unwrap_or_else(PoisonError::into_inner);
        let all = {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.extend(given);
            known.clone()
        };
        remember(&all)?;
        Ok(true)
    }
}
