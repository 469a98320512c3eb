//! The ledger's thread: collects faults, writes them in batches, answers questions, and begins anew when its file fails.

mod upkeep;

use super::{period::Period, read, settings::Settings, store};
use crate::{
    health::{Code, Tracker, unix_ms},
    status::{faults::Fault, history::Question},
    telemetry::{Totals, Traffic},
};
use rusqlite::Connection;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError, error::TryRecvError},
        mpsc, watch,
    },
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

/// So many faults are written at once without waiting for more.
const BATCH: usize = 256;
/// Faults that wait in memory while the file cannot be used; older ones are lost.
const WAITING: usize = 4096;

/// How often things are done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intervals {
    /// A fault is written at the latest after this.
    pub(super) batch: Duration,
    /// Counts are written, and a file that failed is tried again.
    pub(super) tick: Duration,
    /// Old entries are removed.
    pub(super) prune: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { batch: seconds(1), tick: seconds(60), prune: seconds(60 * 60) }
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    intervals: Intervals,
    watched: watch::Receiver<Settings>,
    settings: Settings,
    health: Tracker,
    traffic: Arc<Traffic>,
    faults: broadcast::Receiver<Fault>,
    questions: mpsc::Receiver<Question>,
    /// Faults that are not written yet.
    waiting: VecDeque<Fault>,
    /// Faults that never will be, since the last write.
    lost: u64,
    /// Counters up to the last write.
    written: Totals,
    db: Option<Connection>,
    /// Why there is no `db`; `None` when it is off.
    trouble: Option<String>,
    pruned: Instant,
    /// A file that is damaged again right after a new one was begun is no accident: it waits for the next tick.
    set_aside: Option<Instant>,
    /// When the present day began; 0: not known yet.
    day: u64,
    /// Whether the traffic knows what earlier processes counted today.
    told_today: bool,
}

enum Event {
    Fault(Result<Fault, RecvError>),
    Asked(Question),
    Configured,
    Flush,
    Tick,
    End,
}

impl Writer {
    /// Listens from now on.
    pub(super) fn new(
        intervals: Intervals,
        mut watched: watch::Receiver<Settings>,
        health: Tracker,
        traffic: Arc<Traffic>,
        questions: mpsc::Receiver<Question>,
    ) -> Self {
        let settings = watched.borrow_and_update().clone();
        Self {
            intervals,
            watched,
            settings,
            health,
            faults: traffic.faults(),
            written: traffic.totals(),
            traffic,
            questions,
            waiting: VecDeque::new(),
            lost: 0,
            db: None,
            trouble: None,
            pruned: Instant::now(),
            set_aside: None,
            day: 0,
            told_today: false,
        }
    }

    /// The thread's body.
    pub(super) fn run(self) {
        match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime.block_on(self.live()),
            Err(e) => self.health.set(Code::LedgerUnusable, None, format!("The history of faults is not kept: {e}.")),
        }
    }

    async fn live(mut self) {
        self.look_at_the_day();
        self.open();
        let mut tick = interval(self.intervals.tick);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await; // the first one is immediate
        let mut flush_at = None;
        loop {
            let event = tokio::select! {
                biased;
                changed = self.watched.changed() => if changed.is_ok() { Event::Configured } else { Event::End },
                _ = tick.tick() => Event::Tick,
                () = sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => Event::Flush,
                Some(question) = self.questions.recv() => Event::Asked(question),
                fault = self.faults.recv() => Event::Fault(fault),
            };
            match event {
                Event::Fault(fault) => {
                    self.take(fault);
                    self.take_all();
                    if self.waiting.len() >= BATCH {
                        self.flush();
                    } else if flush_at.is_none() {
                        flush_at = Some(Instant::now() + self.intervals.batch);
                    }
                }
                Event::Flush => self.flush(),
                Event::Asked(question) => self.answer(question),
                Event::Configured => self.configure(),
                Event::Tick => self.look(),
                Event::End => {
                    // What waits for a file that failed has no later chance.
                    if self.db.is_none() && !self.waiting.is_empty() {
                        self.open();
                    }
                    self.catch_up();
                    return; // closing writes the log into the file
                }
            }
            if self.waiting.is_empty() || self.db.is_none() {
                flush_at = None;
            }
        }
    }

    fn take(&mut self, fault: Result<Fault, RecvError>) {
        match fault {
            Ok(_) if !self.settings.ledger.enabled => {}
            Ok(fault) => {
                if self.waiting.len() >= WAITING {
                    self.waiting.pop_front();
                    self.lose(1);
                }
                self.waiting.push_back(fault);
            }
            Err(RecvError::Lagged(count)) => self.lose(count),
            Err(RecvError::Closed) => {} // we hold the traffic ourselves
        }
    }

    /// As many as a batch has room for, without waiting.
    fn take_all(&mut self) {
        while self.waiting.len() < BATCH {
            match self.faults.try_recv() {
                Ok(fault) => self.take(Ok(fault)),
                Err(TryRecvError::Lagged(count)) => self.take(Err(RecvError::Lagged(count))),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Writes everything that has happened up to now.
    fn catch_up(&mut self) {
        loop {
            self.take_all();
            let full = self.waiting.len() >= BATCH;
            self.flush();
            if !full || self.db.is_none() {
                return;
            }
        }
    }

    fn lose(&mut self, count: u64) {
        if !self.settings.ledger.enabled {
            return;
        }
        if self.lost == 0 {
            tracing::warn!("the ledger cannot follow; {count} faults are counted and not written down one by one");
        }
        self.lost += count;
    }

    fn flush(&mut self) {
        // Twice: a damaged file is replaced, and the new one takes what waits.
        for _ in 0..2 {
            let Some(db) = &mut self.db else { return };
            let totals = self.traffic.totals();
            let counted = totals.since(&self.written);
            if self.waiting.is_empty() && self.lost == 0 && counted.is_empty() {
                return;
            }
            let written = store::write(db, self.waiting.make_contiguous(), Period::counted(&counted, self.lost), unix_ms());
            match written.and_then(|()| store::used(db)) {
                Ok(used) => {
                    (self.waiting, self.lost, self.written) = (VecDeque::new(), 0, totals);
                    if used > self.settings.ledger.size {
                        self.prune();
                    }
                    return;
                }
                Err(trouble) => self.fail(trouble),
            }
        }
    }

    fn answer(&mut self, question: Question) {
        self.catch_up();
        let Question { span, reply } = question;
        if reply.is_closed() {
            return; // whoever asked has given up, and others wait
        }
        let answer = match (&mut self.db, &self.trouble) {
            (Some(db), _) => match read::history(db, &span) {
                Ok(history) => Ok(history),
                Err(trouble) => {
                    let why = trouble.to_string();
                    self.fail(trouble);
                    Err(format!("The history could not be read: {why}."))
                }
            },
            (None, Some(why)) => Err(format!("The history of faults is not kept at the moment: {why}.")),
            (None, None) => Err("No history is kept: `ledger.enabled` is false in the config.".to_owned()),
        };
        reply.send(answer).ok(); // whoever asked may be gone
    }
}
