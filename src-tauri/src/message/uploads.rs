//! Turns of bodies that are sent while they come: so many at once, and one that pauses gives way to those that wait. Counts and
//! looks at the clock; it moves no byte.

use super::pace::Pace;
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep, sleep_until, timeout_at},
};

/// The uploads towards one origin.
#[derive(Debug)]
pub(crate) struct Uploads {
    places: Arc<Places>,
    /// How long one may pause while others wait.
    stall: Duration,
    rate: u64,
}

/// An upload's turn; given up by being dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    place: Place,
    pace: Pace,
    clock: Option<Pin<Box<Sleep>>>,
}

/// While nobody waits, a pause that is too long is looked at no more often than this.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Places(Mutex<Queue>);

#[derive(Debug)]
struct Queue {
    free: usize,
    /// Who waits and whom nobody has given way to yet, in the order of asking.
    waiting: VecDeque<oneshot::Sender<Place>>,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// The first that still waits; it is in the queue no more.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        while let Some(first) = self.waiting.pop_front() {
            if !first.is_closed() {
                return Some(first);
            }
        }
        None
    }
}

/// One of the places; whoever it was promised to, or else the first that waits, has it next.
#[derive(Debug)]
struct Place {
    /// `None` once it has been handed on.
    of: Option<Arc<Places>>,
    /// For whom its upload gives way: one for one, so that one that waits ends no more than one.
    promised: Option<oneshot::Sender<Self>>,
}

impl Place {
    fn new(of: Arc<Places>) -> Self {
        Self { of: Some(of), promised: None }
    }

    /// Promises it to the first that waits; says whether somebody does.
    fn promise(&mut self) -> bool {
        if let (None, Some(places)) = (&self.promised, &self.of) {
            self.promised = places.lock().next();
        }
        self.promised.is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(places) = self.of.take() else { return };
        let mut promised = self.promised.take();
        loop {
            let heir = match promised.take() {
                Some(heir) => heir,
                None => {
                    let mut queue = places.lock();
                    match queue.next() {
                        Some(heir) => heir,
                        None => return queue.free += 1,
                    }
                }
            };
            match heir.send(Self::new(places.clone())) {
                Ok(()) => return,
                // It went meanwhile. The place that comes back is this one: it must not be freed twice.
                Err(mut back) => back.of = None,
            }
        }
    }
}

impl Uploads {
    /// So many at once. `stall` and `rate`: how one that others wait for must move.
    pub(crate) fn new(places: usize, stall: Duration, rate: u64) -> Self {
        let queue = Queue { free: places, waiting: VecDeque::new() };
        Self { places: Arc::new(Places(Mutex::new(queue))), stall, rate }
    }

    /// A turn, in the order of asking; `None` at the end of the caller's patience.
    pub(crate) async fn turn(&self, give_up: Instant) -> Option<Turn> {
        let heir = {
            let mut queue = self.places.lock();
            if queue.free > 0 {
                queue.free -= 1;
                None
            } else {
                let (sender, heir) = oneshot::channel();
                queue.waiting.push_back(sender);
                Some(heir)
            }
        };
        let place = match heir {
            None => Place::new(self.places.clone()),
            Some(heir) => timeout_at(give_up, heir).await.ok()?.ok()?,
        };
        Some(Turn { place, pace: Pace::new(self.stall, self.rate), clock: None })
    }
}

impl Turn {
    /// So many bytes came from the client.
    pub(super) fn brought(&mut self, bytes: u64) {
        self.pace.brought(bytes);
        self.clock = None;
    }

    /// Nothing is there: ready when the client has paused for too long and another waits, to whom its place is promised.
    pub(super) fn poll_gives_way(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = self.pace.waits();
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep_until(end)));
        loop {
            ready!(clock.as_mut().poll(cx));
            if self.place.promise() {
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
    async fn one_that_waits_ends_no_more_than_one() {
        pause();
        let uploads = Uploads::new(2, STALL, 1000);
        let mut turns = [uploads.turn(late()).await.unwrap(), uploads.turn(late()).await.unwrap()];
        let mut third = Box::pin(uploads.turn(late()));
        assert!(timeout(LOOK, &mut third).await.is_err());
        let [first, second] = &mut turns;
        poll_fn(|cx| first.poll_gives_way(cx)).await;
        // The place of the one that gives way is not free yet, and the third still waits.
        assert!(timeout(STALL * 3, poll_fn(|cx| second.poll_gives_way(cx))).await.is_err());
        // A fourth is another one.
        let mut fourth = Box::pin(uploads.turn(late()));
        assert!(timeout(LOOK, &mut fourth).await.is_err());
        poll_fn(|cx| second.poll_gives_way(cx)).await;
        drop(turns);
        assert!(third.await.is_some() && fourth.await.is_some());
        assert_eq!(uploads.places.lock().free, 2);
    }

    #[tokio::test]
    async fn a_promise_to_somebody_who_went_is_the_next_ones() {
        pause();
        let uploads = Uploads::new(1, STALL, 1000);
        let mut turn = uploads.turn(late()).await.unwrap();
        let mut second = Box::pin(uploads.turn(late()));
        assert!(timeout(LOOK, &mut second).await.is_err());
        poll_fn(|cx| turn.poll_gives_way(cx)).await;
        let mut third = Box::pin(uploads.turn(late()));
        assert!(timeout(LOOK, &mut third).await.is_err());
        drop(second);
        drop(turn);
        assert!(third.await.is_some());
        assert_eq!(uploads.places.lock().free, 1);
    }

    #[tokio::test]
    async fn who_moves_keeps_the_turn() {
        pause();
        let uploads = Uploads::new(1, STALL, 1000);
        let mut turn = uploads.turn(late()).await.unwrap();
        let mut next = Box::pin(uploads.turn(late()));
        assert!(timeout(LOOK, &mut next).await.is_err());
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
        drop(turns);
        assert!(uploads.turn(late()).await.is_some());
        assert_eq!(uploads.places.lock().free, 2);
    }
}
