//! Turns of bodies that are sent while they come: so many at once, and one that pauses gives way to those that wait. Counts and
//! looks at the clock; it moves no byte.

use super::pace::Pace;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until, timeout_at},
};

/// The uploads towards one origin.
#[derive(Debug)]
pub(crate) struct Uploads {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    /// How long one may pause while others wait.
    stall: Duration,
    rate: u64,
}

/// An upload's turn; given up by being dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    waiting: Arc<AtomicUsize>,
    pace: Pace,
    clock: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

/// While nobody waits, a pause that is too long is looked at no more often than this.
const LOOK: Duration = Duration::from_secs(1);

/// Counts who waits, until he does no more.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Uploads {
    /// So many at once. `stall` and `rate`: how one that others wait for must move.
    pub(crate) fn new(places: usize, stall: Duration, rate: u64) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: Arc::default(), stall, rate }
    }

    /// A turn, in the order of asking; `None` at the end of the caller's patience.
    pub(crate) async fn turn(&self, give_up: Instant) -> Option<Turn> {
        let place = match self.places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let _waiting = Waiting::new(&self.waiting);
                timeout_at(give_up, self.places.clone().acquire_owned()).await.ok()?.ok()?
            }
        };
        let pace = Pace::new(self.stall, self.rate);
        Some(Turn { waiting: self.waiting.clone(), pace, clock: None, _place: place })
    }
}

impl Turn {
    /// So many bytes came from the client.
    pub(super) fn brought(&mut self, bytes: u64) {
        self.pace.brought(bytes);
        self.clock = None;
    }

    /// Nothing is there: ready when the client has paused for too long and others wait.
    pub(super) fn poll_gives_way(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = self.pace.waits();
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep_until(end)));
        loop {
            ready!(clock.as_mut().poll(cx));
            if self.waiting.load(Relaxed) > 0 {
                return Poll::Ready(());
            }
            clock.as_mut().reset(Instant::now() + LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::time::{advance, pause, timeout};

    const STALL: Duration = Duration::from_secs(5);

    fn late() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_pause_gives_way_only_to_somebody() {
        pause();
        let uploads = Uploads::new(1, STALL, 1000);
        let mut turn = uploads.turn(late()).await.unwrap();
        let alone = timeout(STALL * 10, poll_fn(|cx| turn.poll_gives_way(cx))).await;
        assert!(alone.is_err(), "nobody wants its place");
        let began = Instant::now();
        let second = async {
            let next = uploads.turn(late()).await;
            assert!(next.is_some() && began.elapsed() <= LOOK);
        };
        let first = async move {
            poll_fn(|cx| turn.poll_gives_way(cx)).await;
            drop(turn);
        };
        tokio::join!(second, first);
    }

    #[tokio::test]
    async fn who_moves_keeps_the_turn() {
        pause();
        let uploads = Uploads::new(1, STALL, 1000);
        let mut turn = uploads.turn(late()).await.unwrap();
        let _waiting = Waiting::new(&uploads.waiting);
        for _ in 0..100 {
            let paused = timeout(STALL / 2, poll_fn(|cx| turn.poll_gives_way(cx))).await;
            assert!(paused.is_err());
            turn.brought(1 << 20);
            advance(STALL * 2).await; // the network is slow: no fault of the client's
        }
        assert!(timeout(STALL * 2, poll_fn(|cx| turn.poll_gives_way(cx))).await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_in_vain_is_told_and_counted_out() {
        pause();
        let uploads = Uploads::new(2, STALL, 1000);
        let turns = (uploads.turn(late()).await, uploads.turn(late()).await);
        assert!(turns.0.is_some() && turns.1.is_some());
        assert!(uploads.turn(Instant::now() + STALL).await.is_none());
        assert_eq!(uploads.waiting.load(Relaxed), 0);
        drop(turns);
        assert!(uploads.turn(late()).await.is_some());
    }
}
