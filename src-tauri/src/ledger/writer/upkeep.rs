//! The writer's file: opened, given up, begun anew, pruned; and the day that it belongs to. Collects no fault.

use super::Writer;
use crate::{
    health::{Code, unix_ms},
    ledger::{
        file::{self, StoreError},
        read, store,
    },
};
use tokio::time::Instant;

impl Writer {
    pub(super) fn open(&mut self) {
        self.db = None;
        if !self.settings.ledger.enabled {
            self.trouble = None;
            self.health.clear(Code::LedgerUnusable, None);
            return;
        }
        match file::open(&self.settings.file) {
            Ok(db) => {
                self.db = Some(db);
                self.tell_today();
                self.prune();
                self.flush();
                // Well again is what can be written, and not what can be opened.
                if self.db.is_some() {
                    if self.trouble.take().is_some() {
                        tracing::info!("the ledger can be used again");
                    }
                    self.health.clear(Code::LedgerUnusable, None);
                }
            }
            Err(trouble) => self.fail(trouble),
        }
    }

    /// The file has failed: a damaged one is replaced, any other is tried again at the next tick.
    pub(super) fn fail(&mut self, trouble: StoreError) {
        self.db = None;
        let why = match trouble {
            StoreError::Damaged(why) if self.set_aside.is_none_or(|at| at.elapsed() >= self.intervals.tick) => {
                self.set_aside = Some(Instant::now());
                match file::set_aside(&self.settings.file, unix_ms()) {
                    Ok(kept) => {
                        tracing::warn!("the ledger is damaged ({why}); it is kept as {}, and a new one begun", kept.display());
                        return self.open();
                    }
                    Err(e) => format!("it is damaged ({why}) and cannot be set aside ({e})"),
                }
            }
            StoreError::Damaged(why) => format!("it is damaged ({why})"),
            StoreError::Unusable(why) => why,
        };
        let file = self.settings.file.display();
        if self.trouble.is_none() {
            tracing::warn!("the ledger {file} cannot be used: {why}");
        }
        self.health.set(
            Code::LedgerUnusable,
            None,
            format!("The history of faults in {file} is not kept: {why}. Free some space or mend the folder; Leeward tries again every minute, and requests are served as ever."),
        );
        self.trouble = Some(why);
    }

    pub(super) fn prune(&mut self) {
        let Some(db) = &self.db else { return };
        self.pruned = Instant::now();
        let ledger = &self.settings.ledger;
        if let Err(trouble) = store::prune(db, ledger.keep, ledger.size, unix_ms()) {
            self.fail(trouble);
        }
    }

    pub(super) fn configure(&mut self) {
        self.catch_up();
        let old = std::mem::replace(&mut self.settings, self.watched.borrow_and_update().clone());
        if !old.ledger.enabled {
            // What happened while nothing was kept stays out of it.
            self.written = self.traffic.totals();
        }
        if !self.settings.ledger.enabled {
            self.waiting.clear();
            self.lost = 0;
        }
        if (old.file, old.ledger.enabled) == (self.settings.file.clone(), self.settings.ledger.enabled) {
            self.prune();
        } else {
            self.open();
        }
    }

    pub(super) fn look(&mut self) {
        self.look_at_the_day();
        // Without its name the file goes with the last handle, and everything written to it.
        if self.db.is_none() || matches!(self.settings.file.try_exists(), Ok(false)) {
            self.open();
        }
        self.flush();
        if self.pruned.elapsed() >= self.intervals.prune {
            self.prune();
        }
    }

    /// What earlier processes counted today; ours has written nothing before it is notified for the first time.
    pub(super) fn tell_today(&mut self) {
        if let (false, Some(db)) = (self.told_today || self.day == 0, &self.db) {
            match read::counted_since(db, self.day) {
                Ok(before) => {
                    self.told_today = true;
                    self.traffic.counted_before_today(before);
                }
                Err(trouble) => self.fail(trouble),
            }
        }
    }

    pub(super) fn look_at_the_day(&mut self) {
        match read::day_began() {
            Ok(began) if self.day == 0 => self.day = began,
            Ok(began) if began > self.day => {
                self.day = began;
                self.told_today = true; // nothing has been before this day's begin
                self.traffic.begin_day();
            }
            Ok(_) => {}
            Err(trouble) => tracing::debug!("the begin of the day is not known: {trouble}"),
        }
    }
}
