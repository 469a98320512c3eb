//! The certificate authorities of this installation as one process uses them: read from the folder, kept in memory, replaced
//! in time. Blocks on files; a leaf is made without any.

use super::{
    certificate::DAY,
    folder::{self, Kept, Shown},
    generation::Generation,
    trouble::Trouble,
};
use rustls::ServerConfig;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// One that was replaced is destroyed at the latest after this, whoever uses it.
const OLD_FOR: Duration = Duration::from_secs(30 * DAY.as_secs());
/// One that no session uses is destroyed after this, and no sooner after a start: sessions take a moment to connect again.
const UNUSED_FOR: Duration = Duration::from_secs(600);

/// The certificate authorities of this installation.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    since: Instant,
    /// The newest first.
    living: Mutex<Vec<Arc<Generation>>>,
}

impl Authority {
    /// Of that folder; nothing is read or made before somebody asks.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, since: Instant::now(), living: Mutex::default() }
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The one for an agent that is started now, by its eight digits. Made where there is none, or where its end is near.
    ///
    /// # Errors
    /// Why there is none that can be used.
    pub fn current(&self) -> Result<String, Trouble> {
        self.current_at(SystemTime::now())
    }

    pub(super) fn current_at(&self, now: SystemTime) -> Result<String, Trouble> {
        let newest = self.read()?.into_iter().next();
        let made = |old: Option<String>| match (folder::make(&self.folder, now), old) {
            (Ok(generation), _) => {
                let id = generation.id.clone();
                tracing::info!("made the certificate authority {id}");
                self.lock().insert(0, Arc::new(generation));
                Ok(id)
            }
            (Err(why), Some(old)) => {
                tracing::warn!("the certificate authority {old} stays in use though its end is near: {why}");
                Ok(old)
            }
            (Err(why), None) => Err(why),
        };
        let Some(Seen { id, state }) = newest else { return made(None) };
        let generation = state?;
        match generation.is_valid(now) {
            Ok(()) if generation.is_outdated(now) => made(Some(id)),
            Err(Trouble::Expired(_)) => made(None),
            valid => valid.map(|()| id),
        }
    }

    /// Whether the one that an agent was started with can be used.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self, id: &str) -> Result<(), Trouble> {
        let known = self.read()?.into_iter().find(|seen| seen.id == id).ok_or_else(|| Trouble::Gone(id.to_owned()))?;
        known.state?.is_valid(SystemTime::now())
    }

    /// What a TLS server for that host needs, for agents that were started with this one.
    ///
    /// # Errors
    /// Why there is no certificate for it.
    pub fn server(&self, id: &str, host: &str) -> Result<Arc<ServerConfig>, Trouble> {
        self.server_at(id, host, SystemTime::now())
    }

    pub(super) fn server_at(&self, id: &str, host: &str, now: SystemTime) -> Result<Arc<ServerConfig>, Trouble> {
        let known = self.lock().iter().find(|generation| generation.id == id).cloned();
        known.ok_or_else(|| Trouble::Gone(id.to_owned()))?.server(host, now)
    }

    /// Makes another one, for agents that are started from now on. Those that cannot be used are destroyed.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn rotate(&self) -> Result<String, Trouble> {
        let folder = |why| Trouble::Folder { path: self.folder.clone(), why };
        let id = folder::make(&self.folder, SystemTime::now())?.id;
        for Seen { id, .. } in self.read()?.iter().filter(|seen| seen.state.is_err()) {
            folder::destroy(&self.folder, id).map_err(folder)?;
        }
        Ok(id)
    }

    /// Destroys all of them; agents that were started with one are tunnelled without decryption from then on.
    ///
    /// # Errors
    /// When something could not be removed.
    pub fn remove(&self) -> io::Result<()> {
        self.lock().clear();
        folder::remove_all(&self.folder)
    }

    /// Reads the folder again, for what another process has done in it.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn reread(&self) -> Result<(), Trouble> {
        self.read().map(drop)
    }

    /// Those that there are, the newest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn show(&self) -> Result<Vec<Result<Shown, Trouble>>, Trouble> {
        let seen = self.read()?.into_iter();
        Ok(seen.map(|seen| seen.state.map(|generation| Shown::of(&self.folder, &generation))).collect())
    }

    /// Destroys what was replaced and is used no more. `is_used`: whether a session's agent was started with it.
    pub fn tend(&self, is_used: impl Fn(&str) -> bool) {
        self.tend_at(SystemTime::now(), self.since.elapsed() >= UNUSED_FOR, is_used);
    }

    pub(super) fn tend_at(&self, now: SystemTime, is_settled: bool, is_used: impl Fn(&str) -> bool) {
        let mut living = self.lock();
        let Some(replaced_at) = living.first().filter(|_| living.len() > 1).map(|newest| newest.made_at()) else { return };
        let is_over = |old: &Generation| {
            let unused = is_settled && !is_used(&old.id) && replaced_at + UNUSED_FOR <= now;
            unused || replaced_at + OLD_FOR <= now
        };
        let (newest, mut kept) = (living[0].clone(), Vec::new());
        for old in living.drain(..).skip(1) {
            if !is_over(&old) {
                kept.push(old);
                continue;
            }
            match folder::destroy(&self.folder, &old.id) {
                Ok(()) => tracing::info!("destroyed the certificate authority {}, which was replaced", old.id),
                Err(e) => tracing::warn!("the certificate authority {} could not be destroyed: {e}", old.id),
            }
        }
        *living = std::iter::once(newest).chain(kept).collect();
    }

    /// What lies in the folder now. What was in memory before keeps its leaves.
    fn read(&self) -> Result<Vec<Seen>, Trouble> {
        let read = folder::read(&self.folder)?;
        let mut living = self.lock();
        let before = std::mem::take(&mut *living);
        let seen: Vec<_> = read
            .into_iter()
            .map(|Kept { id, state }| {
                let state = state.map(|read| {
                    let same = before.iter().find(|known| known.id == id && known.certificate == read.certificate);
                    same.cloned().unwrap_or_else(|| Arc::new(read))
                });
                Seen { id, state }
            })
            .collect();
        *living = seen.iter().filter_map(|seen| seen.state.as_ref().ok().cloned()).collect();
        Ok(seen)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Generation>>> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Seen {
    id: String,
    state: Result<Arc<Generation>, Trouble>,
}
