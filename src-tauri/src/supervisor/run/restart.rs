//! Generations in the loop: started, accepted, given up; and the config that the next one gets.

use super::state::Run;
use crate::{
    config::{self, Config},
    control::Restarted,
    files,
    health::Code,
    instance,
    supervisor::{
        generations::{PendingGeneration, Reply},
        options::ReloadError,
        recovery::Observations,
    },
};
use std::sync::Arc;
use tokio::time::Instant;

impl Run {
    /// Starts the next generation; the present one goes on until the new one accepts.
    pub(super) fn start_generation(&mut self, replies: Vec<Reply>, config_error: Option<String>) {
        match self.generations.start(&self.config, &self.shared, &self.listener.socket, &self.listener.former) {
            Ok(()) => {
                if let Some(coming) = self.generations.coming() {
                    (coming.replies, coming.config_error) = (replies, config_error);
                }
            }
            Err(e) => {
                let why = format!("a new engine generation could not be started: {e}");
                tracing::error!("{why}");
                for reply in replies {
                    reply.send(Err(why.clone())).ok(); // whoever asked may be gone
                }
                self.not_ready(&why);
                let seen = Observations { handle: self.listener.without_handle(&e), ..self.observe() };
                self.recover(&seen, &e.to_string());
            }
        }
    }

    pub(super) fn restart(&mut self, replies: Vec<Reply>) {
        if let Some(coming) = self.generations.coming() {
            coming.later.get_or_insert_default().extend(replies);
            return;
        }
        if self.listener.is_mending() {
            self.listener.due.get_or_insert_default().extend(replies);
            return;
        }
        match self.reload_config() {
            // Nobody asked but the file, and that is checked again soon.
            Err(ReloadError::Unread(why)) if replies.is_empty() => tracing::debug!("the config is read later: {why}"),
            reloaded => self.start_generation(replies, reloaded.err().map(|why| why.to_string())),
        }
    }

    /// Takes the config from its file; on an error the present one stays in force.
    fn reload_config(&mut self) -> Result<(), ReloadError> {
        let log = self.config.log.clone();
        let reloaded = match self.file.reload(&self.config) {
            Ok(new) => match self.listen_as(&new) {
                Ok(()) => {
                    self.config = Arc::new(new);
                    Ok(())
                }
                // All else is in force.
                Err(why) => {
                    self.config = Arc::new(Config { listen: self.config.listen, ..new });
                    Err(ReloadError::Refused(why))
                }
            },
            Err(why) => Err(why),
        };
        self.ledger.configure(&self.config);
        if self.config.log != log {
            self.file.refilter(&self.config.log);
        }
        match &reloaded {
            Ok(()) => {
                self.shared.health.clear(Code::ConfigInvalid, None);
                self.tell_problem();
                self.tell_exposed();
            }
            Err(ReloadError::Refused(why)) => {
                self.shared.health.set(Code::ConfigInvalid, None, format!("The config on disk is not in force: {why}. The one before it is; `leeward config check` lists every error."));
            }
            // What is on disk is not known.
            Err(ReloadError::Unread(_)) => {}
        }
        reloaded
    }

    /// Tells what of the user's config could not be in force at the start; else keeps the text of the file for the day on which
    /// it cannot be.
    pub(super) fn tell_problem(&self) {
        let paths = &self.config.paths;
        if let Some(problem) = &self.config.problem {
            tracing::warn!("{problem}");
            return self.shared.health.set(Code::ConfigInvalid, None, format!("{problem}."));
        }
        let text = files::read(&paths.config_file).unwrap_or_default();
        if files::read(&paths.last_good_file()).ok().as_deref() == Some(&text) {
            return;
        }
        if let Err(why) = instance::write_atomically(&paths.last_good_file(), &text) {
            tracing::debug!("the config is not kept as the last good one: {why}");
        }
    }

    /// Warns of secrets in the config that others can read, until they cannot.
    pub(super) fn tell_exposed(&self) {
        match config::exposed(&self.config) {
            Some(sentence) => self.shared.health.set(Code::ConfigExposed, None, sentence),
            None => self.shared.health.clear(Code::ConfigExposed, None),
        }
    }

    /// Tells that the state folder could not be used. It stays so: the files are where they are until the process ends.
    pub(super) fn tell_not_kept(&self) {
        if let Some(sentence) = self.config.paths.not_kept() {
            self.shared.health.set(Code::StateNotKept, None, sentence);
        }
    }

    /// The generation of this number accepts.
    pub(super) fn accepting(&mut self, number: u64) {
        let Some(accepted) = self.generations.accepts(number) else { return };
        self.memory.accepts();
        self.listener.is_taken();
        self.shared.counters.set_accepting(true);
        self.probing.mended(self.memory.misses());
        self.show();
        let PendingGeneration { since, config_error, replies, later, .. } = accepted;
        let took_ms = u64::try_from(Instant::now().duration_since(since).as_millis()).unwrap_or(u64::MAX);
        tracing::info!(generation = number, address = %self.listener.socket.address(), took_ms, "accepting");
        for reply in replies {
            let done = Restarted { generation: number, took_ms, config_error: config_error.clone() };
            reply.send(Ok(done)).ok(); // whoever asked may be gone
        }
        if let Some(ready) = self.ready.take() {
            ready.try_send(Ok(())).ok();
        }
        if let Some(later) = later {
            self.restart(later);
        }
    }

    /// The one that is coming up does not come.
    pub(super) fn give_up_coming(&mut self, why: &str) {
        let Some(given_up) = self.generations.give_up_coming() else { return };
        tracing::error!(generation = given_up.number, "did not come up: {why}");
        for reply in given_up.replies {
            reply.send(Err(format!("the new engine generation did not come up: {why}"))).ok();
        }
        self.not_ready(why);
        if let Some(later) = given_up.later {
            self.restart(later);
        }
    }

    fn not_ready(&mut self, why: &str) {
        if let Some(ready) = self.ready.take() {
            ready.try_send(Err(why.to_owned())).ok();
        }
    }
}
