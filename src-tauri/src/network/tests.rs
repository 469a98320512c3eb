//! The watch on a machine that a test makes up: what is reported, when, and how often. Time is paused; no socket is used.

use super::news::{NetworkNews, NetworkWhy};
use super::{Ended, Hint, Machine, POLL, SECOND, Watch, clocks::Reading, picture::Picture, picture::Way};
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout},
};

/// A machine whose network and clocks a test sets.
#[derive(Clone)]
struct Made(Arc<Mutex<State>>);

struct State {
    gateway: u8,
    unreadable: bool,
    pictures: u32,
    /// What the wall clock has gained, and the time asleep.
    jumped: Duration,
    asleep: Option<Duration>,
    began: (std::time::Instant, std::time::SystemTime, Instant),
}

impl Made {
    fn new() -> Self {
        let began = (std::time::Instant::now(), std::time::SystemTime::now(), Instant::now());
        let asleep = Some(Duration::ZERO);
        Self(Arc::new(Mutex::new(State { gateway: 1, unreadable: false, pictures: 0, jumped: Duration::ZERO, asleep, began })))
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    fn pictures(&self) -> u32 {
        self.0.lock().unwrap().pictures
    }
}

fn picture(gateway: u8) -> Picture {
    let way = Way { v6: false, interface: "eth0".into(), gateway: Some([10, 0, 0, gateway].into()) };
    Picture::new([way], [("eth0".to_owned(), [10, 0, 0, 99].into())])
}

impl Machine for Made {
    async fn picture(&self) -> io::Result<Picture> {
        let mut state = self.0.lock().unwrap();
        state.pictures += 1;
        if state.unreadable { Err(io::Error::other("made up")) } else { Ok(picture(state.gateway)) }
    }

    fn clocks(&self) -> Reading {
        let state = self.0.lock().unwrap();
        let (running, wall, paused) = state.began;
        let gone = paused.elapsed();
        Reading { running: running + gone, wall: wall + gone + state.jumped, asleep: state.asleep }
    }
}

struct Watching {
    machine: Made,
    hints: mpsc::Sender<Hint>,
    news: mpsc::Receiver<NetworkNews>,
    /// Dropping it ends the watch.
    _watch: JoinSet<()>,
}

/// A watch that has reported what it knows at its start.
async fn watching(polling: bool) -> Watching {
    let machine = Made::new();
    let (hints, hinted) = mpsc::channel(4);
    let (tell, news) = mpsc::channel(4);
    let mut watch = JoinSet::new();
    watch.spawn(Watch::new(machine.clone(), tell).run(hinted, JoinSet::new(), polling));
    let mut watching = Watching { machine, hints, news, _watch: watch };
    let known = NetworkNews::Known { fingerprint: picture(1).fingerprint() };
    assert_eq!(watching.news.recv().await, Some(known));
    watching
}

impl Watching {
    async fn next(&mut self) -> NetworkNews {
        timeout(Duration::from_secs(60), self.news.recv()).await.expect("news in time").expect("the watch lives")
    }

    async fn nothing_within(&mut self, time: Duration) {
        let news = timeout(time, self.news.recv()).await;
        assert!(news.is_err(), "{news:?}");
    }

    async fn hint(&self, hint: Hint) {
        self.hints.send(hint).await.unwrap();
    }
}

fn changed(why: NetworkWhy, gateway: u8) -> NetworkNews {
    NetworkNews::Changed { why, fingerprint: Some(picture(gateway).fingerprint()) }
}

#[tokio::test(start_paused = true)]
async fn only_what_has_changed_is_told() {
    let mut watching = watching(false).await;
    for _ in 0..10 {
        watching.hint(Hint::Routes).await;
    }
    watching.nothing_within(Duration::from_secs(30)).await;
    watching.machine.set(|s| s.gateway = 2);
    watching.nothing_within(Duration::from_secs(30)).await; // nobody said so
    let asked = Instant::now();
    watching.hint(Hint::Routes).await;
    assert_eq!(watching.next().await, changed(NetworkWhy::Routes, 2));
    assert_eq!(asked.elapsed(), Duration::ZERO, "the first change is told at once");
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_told_once_a_second_and_ends_with_the_last_state() {
    let mut watching = watching(false).await;
    let (hints, machine) = (watching.hints.clone(), watching.machine.clone());
    let mut bursting = JoinSet::new();
    bursting.spawn(async move {
        // 2.4 seconds of changes, as when a VPN comes up.
        for gateway in 2..50 {
            machine.set(|s| s.gateway = gateway);
            hints.send(Hint::Routes).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let began = Instant::now();
    let mut told = Vec::new();
    while let Ok(news) = timeout(Duration::from_secs(5), watching.news.recv()).await {
        told.push((began.elapsed(), news.unwrap()));
    }
    assert!(told.len() <= 4, "{told:?}");
    assert!(told[0].0 < Duration::from_millis(200), "{told:?}"); // the start's own picture may hold it up by 100 ms
    assert!(told.windows(2).all(|w| w[1].0 - w[0].0 >= Duration::from_secs(1)), "{told:?}");
    assert_eq!(told.last().unwrap().1, changed(NetworkWhy::Routes, 49), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_that_changes_nothing_costs_ten_pictures_a_second() {
    let mut watching = watching(false).await;
    let before = watching.machine.pictures();
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        watching.hint(Hint::Routes).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let pictures = watching.machine.pictures() - before;
    assert!((5..=11).contains(&pictures), "{pictures}");
    watching.nothing_within(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn sleep_is_told_by_the_clocks_alone() {
    let mut watching = watching(false).await;
    watching.machine.set(|s| s.asleep = Some(Duration::from_secs(3600)));
    let slept = Instant::now();
    assert_eq!(watching.next().await, changed(NetworkWhy::Woke, 1));
    assert!(slept.elapsed() <= SECOND, "{:?}", slept.elapsed());
    watching.machine.set(|s| {
        s.asleep = None;
        s.jumped = Duration::from_secs(600);
    });
    assert_eq!(watching.next().await, changed(NetworkWhy::ClockJumped, 1));
    watching.nothing_within(Duration::from_secs(30)).await;
}

#[tokio::test(start_paused = true)]
async fn one_sleep_is_told_once_whoever_tells_of_it() {
    let mut watching = watching(false).await;
    // The kernel's timer, then logind, then the next reading of the clocks.
    watching.machine.set(|s| s.asleep = Some(Duration::from_secs(60)));
    watching.hint(Hint::Clocks).await;
    watching.hint(Hint::Resumed).await;
    assert_eq!(watching.next().await, changed(NetworkWhy::Woke, 1));
    watching.nothing_within(Duration::from_secs(20)).await;
    // logind alone, where the clocks show nothing.
    watching.hint(Hint::Resumed).await;
    assert_eq!(watching.next().await, changed(NetworkWhy::Woke, 1));
    // The network settles after the sleep: that is a change of its own, and reported by the picture that a sleep asks for.
    watching.machine.set(|s| s.gateway = 7);
    assert_eq!(watching.next().await, changed(NetworkWhy::Routes, 7));
}

#[tokio::test(start_paused = true)]
async fn without_events_the_network_is_polled() {
    let mut watching = watching(true).await;
    watching.machine.set(|s| s.gateway = 3);
    let set = Instant::now();
    assert_eq!(watching.next().await, changed(NetworkWhy::Routes, 3));
    assert!(set.elapsed() <= POLL, "{:?}", set.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_ends_is_replaced_by_polling() {
    let machine = Made::new();
    let (_hints, hinted) = mpsc::channel(4);
    let (tell, mut news) = mpsc::channel(4);
    let mut sources = JoinSet::new();
    sources.spawn(async { Ended { events: true } });
    let mut watch = JoinSet::new();
    watch.spawn(Watch::new(machine.clone(), tell).run(hinted, sources, false));
    news.recv().await.unwrap();
    machine.set(|s| s.unreadable = true);
    let pictures = machine.pictures();
    tokio::time::sleep(2 * POLL).await;
    assert!(machine.pictures() > pictures, "a picture that fails ends nothing");
    machine.set(|s| {
        s.unreadable = false;
        s.gateway = 4;
    });
    assert_eq!(timeout(2 * POLL, news.recv()).await.unwrap(), Some(changed(NetworkWhy::Routes, 4)));
    drop(news);
    assert!(timeout(Duration::from_secs(1), watch.join_next()).await.is_ok(), "it ends when nobody listens");
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_fails_is_made_up_for() {
    let mut watching = watching(false).await;
    watching.machine.set(|s| {
        s.unreadable = true;
        s.gateway = 5;
    });
    watching.hint(Hint::Routes).await;
    watching.nothing_within(Duration::from_secs(1)).await;
    watching.machine.set(|s| s.unreadable = false);
    // Nobody says so again.
    assert_eq!(watching.next().await, changed(NetworkWhy::Routes, 5));
    let pictures = watching.machine.pictures();
    watching.nothing_within(4 * POLL).await;
    assert_eq!(watching.machine.pictures(), pictures, "and then there is no more polling");
}
