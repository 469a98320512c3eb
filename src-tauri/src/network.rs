//! Watches this machine's network and sleep, and reports when connections made before may be dead.
//!
//! Announces only what matters to connections that leave the machine. Knows nobody who listens, and never stops anything:
//! a source that the system does not have costs a line in the debug log.

mod clocks;
mod news;
mod pace;
mod picture;
mod source;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod others;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(not(target_os = "linux"))]
use others as platform;

#[cfg(test)]
mod tests;

pub use news::{Network, NetworkNews, NetworkWhy};

use crate::second::{self, SECOND};
use clocks::Reading;
use pace::Pace;
use picture::Picture;
use source::{Hint, note};
use std::{io, time::Duration};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

/// Whether there is no way out of this machine. Not known counts as a way.
pub(crate) fn is_offline() -> bool {
    picture::OUTSIDE.iter().all(|outside| matches!(picture::own_address(*outside), Ok(None)))
}

/// Whether the source that ended was the one that says when to compare.
struct Ended {
    events: bool,
}

/// This machine, or what a test puts in its place.
trait Machine: Send {
    /// Routes and addresses, now.
    fn picture(&self) -> impl Future<Output = io::Result<Picture>> + Send;
    /// Reads the clocks.
    fn clocks(&self) -> Reading;
}

struct ThisMachine;

impl Machine for ThisMachine {
    async fn picture(&self) -> io::Result<Picture> {
        platform::picture().await
    }

    fn clocks(&self) -> Reading {
        Reading::now(platform::asleep())
    }
}

/// Where the system has no events, or they have ended, the network is compared this often.
const POLL: Duration = Duration::from_secs(15);
/// The kernel answers at once; routes of a whole internet exchange take longer than anybody waits.
const PICTURE_LIMIT: Duration = Duration::from_secs(3);
// The clocks are read each second, but not while the picture is taken, and that must not count as a sleep.
const _: () = assert!(PICTURE_LIMIT.as_millis() + SECOND.as_millis() < clocks::JUMP.as_millis());
/// The clocks and the system report the same sleep within this.
const SAME_SLEEP: Duration = Duration::from_secs(10);
/// Hints that may wait; sources wait in their turn.
const HINTS: usize = 4;

/// Sends `news` of the network for as long as somebody takes them.
pub async fn watch(news: mpsc::Sender<NetworkNews>) {
    let (hint, hints) = mpsc::channel(HINTS);
    let mut sources = JoinSet::new();
    let (events, resumes) = (hint.clone(), hint.clone());
    sources.spawn(async move {
        note("links, addresses and routes", platform::events(events).await);
        Ended { events: true }
    });
    sources.spawn(async move {
        note("sleep", platform::resumes(resumes).await);
        Ended { events: false }
    });
    Watch::new(ThisMachine, news).run(hints, sources, !platform::EVENTS_SHOW_ROUTES).await;
    drop(hint); // held until here, so that the end of all sources is not the end of hints
}

/// Nobody takes the news any more.
struct Deaf;

struct Watch<M> {
    machine: M,
    news: mpsc::Sender<NetworkNews>,
    seen: Option<Picture>,
    clocks: Reading,
    woke: Option<Instant>,
    pace: Pace,
    /// The last picture could not be taken: nobody may say so when the next could.
    blind: bool,
}

impl<M: Machine> Watch<M> {
    fn new(machine: M, news: mpsc::Sender<NetworkNews>) -> Self {
        let clocks = machine.clocks();
        Self { machine, news, seen: None, clocks, woke: None, pace: Pace::default(), blind: false }
    }

    /// Ends when nobody takes the news any more.
    async fn run(mut self, mut hints: mpsc::Receiver<Hint>, mut sources: JoinSet<Ended>, mut polling: bool) {
        let mut tick = second::ticks();
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.pace.want(Instant::now());
        loop {
            let due = self.pace.due();
            let done = tokio::select! {
                Some(hint) = hints.recv() => self.heed(hint).await,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.compare().await,
                _ = tick.tick() => self.read_clocks().await.map(|_| ()),
                _ = poll.tick(), if polling || self.blind => self.heed(Hint::Routes).await,
                Some(ended) = sources.join_next() => {
                    // One that panicked may have been the one that matters.
                    polling |= ended.map_or(true, |e| e.events);
                    Ok(())
                }
                () = self.news.closed() => Err(Deaf),
            };
            if let Err(Deaf) = done {
                return;
            }
        }
    }

    async fn heed(&mut self, hint: Hint) -> Result<(), Deaf> {
        match hint {
            Hint::Routes => self.pace.want(Instant::now()),
            Hint::Clocks => {
                self.read_clocks().await?;
            }
            Hint::Resumed => {
                let told = self.read_clocks().await? || self.woke.is_some_and(|at| at.elapsed() < SAME_SLEEP);
                if !told {
                    self.woke(NetworkWhy::Woke).await?;
                }
            }
        }
        Ok(())
    }

    /// True when the clocks show a sleep.
    async fn read_clocks(&mut self) -> Result<bool, Deaf> {
        let mut now = self.machine.clocks();
        now.asleep = now.asleep.or(self.clocks.asleep);
        let before = std::mem::replace(&mut self.clocks, now);
        match before.jump_to(&now) {
            None => Ok(false),
            Some(why) => self.woke(why).await.map(|()| true),
        }
    }

    async fn woke(&mut self, why: NetworkWhy) -> Result<(), Deaf> {
        self.woke = Some(Instant::now());
        let now = self.picture().await;
        let fingerprint = now.as_ref().map(Picture::fingerprint);
        self.seen = now.or(self.seen.take());
        self.pace.announced(Instant::now());
        // The network settles in the seconds after; what changes then is reported by itself.
        self.pace.want(Instant::now());
        self.tell(NetworkNews::Changed { why, fingerprint }).await
    }

    /// Takes a picture of the network, and reports what is different.
    async fn compare(&mut self) -> Result<(), Deaf> {
        self.pace.compared(Instant::now());
        let Some(now) = self.picture().await else { return Ok(()) };
        let fingerprint = now.fingerprint();
        let why = self.seen.as_ref().map(|seen| seen.difference(&now));
        self.seen = Some(now);
        match why {
            None => self.tell(NetworkNews::Known { fingerprint }).await,
            Some(None) => Ok(()),
            Some(Some(why)) => {
                self.pace.announced(Instant::now());
                self.tell(NetworkNews::Changed { why, fingerprint: Some(fingerprint) }).await
            }
        }
    }

    async fn picture(&mut self) -> Option<Picture> {
        let seen = match timeout(PICTURE_LIMIT, self.machine.picture()).await {
            Ok(Ok(picture)) => Some(picture),
            Ok(Err(e)) => {
                tracing::debug!("this machine's routes and addresses cannot be read: {e}");
                None
            }
            Err(_) => {
                tracing::debug!("this machine's routes and addresses were not told within {PICTURE_LIMIT:?}");
                None
            }
        };
        self.blind = seen.is_none();
        seen
    }

    async fn tell(&self, news: NetworkNews) -> Result<(), Deaf> {
        self.news.send(news).await.map_err(|_| Deaf)
    }
}
