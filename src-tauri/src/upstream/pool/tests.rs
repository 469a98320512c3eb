//! The pool on real sockets: what a change of the network does to it, and how many connections it makes at once.

use super::{Lease, Origin, Parts, dialing::SETTLE};
use crate::{
    config::{Config, Trust},
    health::Tracker,
    message::{Failure, Outgoing},
    network::Network,
    status::{faults::Cause, stats::OriginStats},
    tasks::Tasks,
    upstream::{budget::Budget, connection::Connection, context::DialContext, endpoint::Endpoint, paths::PathCache},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, timeout},
};

const LIMIT: Duration = Duration::from_secs(20);

struct Bench {
    origin: Arc<Origin>,
    listener: TcpListener,
    home: tempfile::TempDir,
}

/// An origin whose upstream is a bare listener. `tls`: dials wait for a handshake that never comes.
async fn bench(tls: bool, tune: impl FnOnce(&mut Config)) -> Bench {
    let home = tempfile::tempdir().unwrap();
    let mut config = Config::under(home.path()).unwrap();
    config.trust = Trust::Only(vec![rcgen::generate_simple_self_signed(vec!["h".into()]).unwrap().cert.der().to_vec()]);
    config.connect.tls_timeout = 2 * LIMIT;
    tune(&mut config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint = Endpoint { tls, host: "127.0.0.1".into(), port };
    let parts = Parts {
        context: Arc::new(DialContext::new(
            &config,
            Arc::new(PathCache::new(watch::channel(Network::default()).1)),
            std::net::SocketAddr::from(([127, 0, 0, 1], 1)),
        )),
        tasks: Tasks::new(),
        traffic: Arc::default(),
        budget: Arc::new(Budget::new(&config.retry)),
        health: Tracker::default(),
        config: Arc::new(config),
        reaching: Arc::default(),
    };
    Bench { origin: Origin::new(endpoint, parts), listener, home }
}

impl Bench {
    async fn checkout(&self) -> Lease {
        let now = Instant::now();
        self.origin.checkout(false, now, now + 2 * LIMIT).await
    }

    async fn accepted(&self) -> TcpStream {
        timeout(LIMIT, self.listener.accept()).await.expect("a dial").unwrap().0
    }

    async fn reaches(&self, what: &str, wanted: impl Fn(&OriginStats) -> bool) {
        let until = Instant::now() + LIMIT;
        while !wanted(&self.origin.stats()) {
            assert!(Instant::now() < until, "{what}: {:?}", self.origin.stats());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test]
async fn another_network_takes_no_connection_over_and_makes_one() {
    let bench = bench(false, |_| {}).await;
    let (idle, used) = (bench.checkout().await.connection.unwrap(), bench.checkout().await.connection.unwrap());
    let _old = [bench.accepted().await, bench.accepted().await];
    bench.origin.put_back(idle);
    assert_eq!((bench.origin.stats().idle, bench.origin.stats().open), (1, 2));
    bench.origin.network_changed();
    let _new = bench.accepted().await;
    bench.reaches("one is made", |s| (s.idle, s.open) == (1, 2)).await;
    bench.origin.put_back(used);
    bench.reaches("the used one is not taken back", |s| (s.idle, s.open) == (1, 1)).await;
    assert_eq!(bench.origin.warm(1), 0, "what is idle is of this network");
}

#[tokio::test]
async fn an_origin_that_nobody_uses_is_left_alone_by_a_change() {
    let bench = bench(false, |_| {}).await;
    bench.origin.network_changed();
    assert_eq!(bench.origin.stats().dialing, 0);
    bench.origin.warm(1);
    bench.reaches("it is warm", |s| s.idle == 1).await;
    bench.origin.network_changed();
    assert_eq!((bench.origin.stats().dialing, bench.origin.stats().idle), (1, 0), "warmed lately counts as used");
}

/// L10: who is parked does not wait for a probe that was planned for the old network.
#[tokio::test]
async fn another_network_closes_the_circuit_and_keeps_who_waits() {
    let bench = bench(false, |c| {
        c.circuit.failures = 1;
        (c.circuit.probe, c.retry.base, c.circuit.max_wait) = (2 * LIMIT, 2 * LIMIT, 2 * LIMIT);
    })
    .await;
    let address = bench.listener.local_addr().unwrap();
    let (origin, home) = (bench.origin.clone(), bench.home);
    drop(bench.listener);
    let begin = Instant::now();
    let parked = tokio::join!(origin.checkout(false, begin, begin + 2 * LIMIT), async {
        let failed = Instant::now() + LIMIT;
        while origin.stats().circuit != "open" {
            assert!(Instant::now() < failed, "{:?}", origin.stats());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let stats = origin.stats();
        assert_eq!((stats.waiting, stats.last_failure.is_some()), (1, true));
        let listener = TcpListener::bind(address).await.unwrap();
        origin.network_changed();
        let stats = origin.stats();
        assert_eq!((stats.circuit, stats.waiting, stats.last_failure), ("closed", 1, None));
        listener
    });
    assert!(parked.0.connection.is_ok() && parked.0.parked);
    drop(home);
}

/// A dial that hangs in a network that is gone does not keep its place.
#[tokio::test]
async fn dials_under_way_begin_anew_in_another_network() {
    let bench = bench(true, |c| c.connect.parallel = 1).await;
    let wait = bench.checkout();
    tokio::pin!(wait);
    let mut first = tokio::select! {
        stream = bench.accepted() => stream,
        _ = &mut wait => unreachable!("no handshake, no connection"),
    };
    bench.origin.network_changed();
    let mut hello = Vec::new();
    let (_second, ended) = tokio::select! {
        both = async { (bench.accepted().await, timeout(LIMIT, first.read_to_end(&mut hello)).await) } => both,
        _ = &mut wait => unreachable!("no handshake, no connection"),
    };
    assert!(ended.is_ok(), "the old dial is given up");
    let stats = bench.origin.stats();
    assert_eq!((stats.circuit, stats.last_failure), ("closed", None), "it is no failure");
}

/// A plain upstream that has said nothing yet may have taken a connection or not: a few of them at a time.
#[tokio::test]
async fn plain_connections_that_say_nothing_are_made_a_few_at_a_time() {
    let bench = bench(false, |_| {}).await;
    let began = Instant::now();
    let connections = futures_util::future::join_all((0..12).map(|_| bench.checkout())).await;
    assert!(connections.iter().all(|lease| lease.connection.is_ok()));
    assert!(began.elapsed() >= 2 * SETTLE, "four, four and four: {:?}", began.elapsed());
}

/// A runtime that ends drops what it is still given, within the call that gives it.
#[test]
fn a_dial_that_the_runtime_no_longer_takes_blocks_nobody() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bench = runtime.block_on(bench(false, |_| {}));
    drop(runtime);
    let (done, ended) = std::sync::mpsc::channel();
    let origin = bench.origin;
    std::thread::spawn(move || {
        origin.warm(1);
        done.send(origin.stats().idle).ok();
    });
    assert_eq!(ended.recv_timeout(LIMIT), Ok(0), "nobody waits for a lock that he holds himself");
}

/// A connection that the sweep looks at while the network changes belongs to the network before.
#[tokio::test]
async fn the_sweep_brings_no_connection_into_another_network() {
    let bench = bench(false, |_| {}).await;
    let connection = bench.checkout().await.connection.unwrap();
    let _old = bench.accepted().await;
    bench.origin.put_back(connection);
    let swept = bench.origin.take_all_idle();
    assert_eq!(swept.len(), 1);
    bench.origin.network_changed();
    bench.origin.put_all_back(swept);
    let _new = bench.accepted().await;
    bench.reaches("only the new one is left", |s| (s.idle, s.open) == (1, 1)).await;
}

/// Without parking a request still waits for its dial: only an open circuit sends it away.
#[tokio::test]
async fn without_parking_a_request_still_waits_for_its_dial() {
    let bench = bench(true, |c| c.circuit.max_wait = Duration::ZERO).await;
    assert!(timeout(Duration::from_millis(500), bench.checkout()).await.is_err(), "the handshake takes its time");
    let Bench { origin, listener, home } = bench;
    drop(listener);
    let begin = Instant::now();
    let mut told = Vec::new();
    while told.last() != Some(&Cause::CircuitOpen) {
        assert!(begin.elapsed() < LIMIT, "{told:?}");
        told.push(origin.checkout(true, begin, begin + 2 * LIMIT).await.connection.unwrap_err().cause);
    }
    drop(home);
}

/// What the last dial met is about a network that is gone; with nobody there to dial again it would stand for ever.
#[tokio::test]
async fn another_network_ends_the_condition_of_the_old_one() {
    let bench = bench(false, |_| {}).await;
    bench.origin.report(Some(&Failure::new(Cause::Certificate, "inspected")));
    assert_eq!(bench.origin.health.visible().len(), 1);
    bench.origin.network_changed();
    assert_eq!(bench.origin.health.visible(), []);
}

/// U13: bytes that are acknowledged need no limit, or a gap of the network ends a request while the API thinks.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_limit_for_unacknowledged_bytes_ends_when_they_must_have_been() {
    const LIMIT_OF_BYTES: Duration = Duration::from_secs(1);
    let bench = bench(false, |c| c.connect.write_stall = LIMIT_OF_BYTES).await;
    let connection = bench.checkout().await.connection.unwrap();
    let (socket, mut upstream) = (connection.socket(), bench.accepted().await);
    let request = http::Request::get("/").header("host", "h").body(Outgoing::empty()).unwrap();
    let began = Instant::now();
    let watched = async {
        assert!(upstream.read(&mut [0; 1024]).await.unwrap() > 0);
        assert_eq!(socket.limit_of_unacknowledged().unwrap(), LIMIT_OF_BYTES);
        while !socket.limit_of_unacknowledged().unwrap().is_zero() {
            assert!(began.elapsed() < LIMIT);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        answered = connection.exchange(request, None) => panic!("nobody answered: {answered:?}"),
        () = watched => assert!(began.elapsed() > LIMIT_OF_BYTES, "{:?}", began.elapsed()),
    }
}

/// Nothing comes to an address that is gone: whoever uses it learns so at once, and others are left alone.
#[tokio::test]
async fn a_connection_ends_with_the_address_that_it_came_from() {
    let bench = bench(false, |_| {}).await;
    let connection = bench.checkout().await.connection.unwrap();
    let mut upstream = bench.accepted().await;
    let request = http::Request::get("/").header("host", "h").body(Outgoing::empty()).unwrap();
    let mut exchange = std::pin::pin!(connection.exchange(request, None));
    let mut came = [0; 1024];
    tokio::select! {
        answered = &mut exchange => panic!("nobody answered: {answered:?}"),
        read = upstream.read(&mut came) => assert!(read.unwrap() > 0),
    }
    bench.origin.end_vanished(|_| false);
    assert!(timeout(Duration::from_millis(100), &mut exchange).await.is_err(), "its address is there");
    bench.origin.end_vanished(|ip| ip.is_loopback());
    let failure = timeout(LIMIT, exchange).await.expect("at once").err().unwrap();
    assert_eq!(failure.cause, Cause::FreshReset);
}

/// Connections that are lost again and again are replaced before anybody asks; where none is lost, none is made.
#[tokio::test]
async fn what_is_lost_again_and_again_is_kept_ready() {
    let bench = bench(false, |_| {}).await;
    let connection = bench.checkout().await.connection.unwrap();
    let first = bench.accepted().await;
    bench.origin.put_back(connection);
    let connection = bench.checkout().await.connection.unwrap();
    assert_eq!((bench.origin.stats().open, bench.origin.stats().dialing), (1, 0), "a healthy origin is left alone");
    bench.origin.put_back(connection);
    drop(first);
    for _ in 0..3 {
        bench.origin.lock().circuit.rate.lost(Instant::now());
    }
    let used = bench.checkout().await.connection.unwrap();
    let (_second, _third) = (bench.accepted().await, bench.accepted().await);
    bench.reaches("one for the next request", |s| (s.open, s.idle, s.waiting) == (2, 1, 0)).await;
    drop(used);
    let _fourth = bench.accepted().await;
    bench.reaches("the lost one is replaced", |s| (s.open, s.idle) == (2, 2)).await;
}

/// A connection that has served a request, and the upstream's end of it.
async fn served(bench: &Bench) -> (Connection, TcpStream) {
    let connection = bench.checkout().await.connection.unwrap();
    let mut upstream = bench.accepted().await;
    let answer = async {
        assert!(upstream.read(&mut [0; 1024]).await.unwrap() > 0);
        upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    };
    let request = http::Request::get("/").header("host", "h").body(Outgoing::empty()).unwrap();
    let (answered, ()) = tokio::join!(connection.exchange(request, None), answer);
    (answered.unwrap().1, upstream)
}

/// A request that wants a connection of its own takes none that has served: a look at them ends all the same.
#[tokio::test]
async fn a_look_ends_while_somebody_waits_for_a_new_connection() {
    let bench = bench(false, |_| {}).await;
    let (first, second) = (served(&bench).await, served(&bench).await);
    bench.origin.put_back(first.0);
    bench.origin.put_back(second.0);
    let waits = bench.origin.lock().waiters.add(Instant::now(), true);
    // On a thread that nobody waits for: where the look has no end, the test has one.
    let (origin, (looked, ended)) = (bench.origin.clone(), std::sync::mpsc::channel());
    std::thread::spawn(move || looked.send(origin.look_after()));
    assert_eq!(ended.recv_timeout(LIMIT), Ok(None), "nothing was lost, so there is no second look");
    let stats = bench.origin.stats();
    assert_eq!((stats.idle, stats.open, stats.waiting), (2, 2, 1), "both are kept, and it goes on waiting");
    drop(waits);
}

/// Nobody waits for a connection that is made in advance: it comes out of the budget, and nothing of the reserve for replays.
#[tokio::test]
async fn without_budget_nothing_is_kept_ready() {
    let bench = bench(false, |c| (c.retry.budget, c.retry.budget_floor) = (0.0, 0)).await;
    for _ in 0..3 {
        bench.origin.lock().circuit.rate.lost(Instant::now());
    }
    let _used = bench.checkout().await.connection.unwrap();
    let _accepted = bench.accepted().await;
    let more = timeout(Duration::from_millis(300), bench.listener.accept()).await;
    assert!(more.is_err(), "{:?}", bench.origin.stats());
}

/// A request that is sent again needs a connection that has served nobody: one that is there already will do.
#[tokio::test]
async fn an_idle_connection_that_has_served_nobody_is_a_fresh_one() {
    let bench = bench(false, |_| {}).await;
    bench.origin.warm(1);
    bench.reaches("it is warm", |s| s.idle == 1).await;
    let now = Instant::now();
    let _taken = bench.origin.checkout(true, now, now + LIMIT).await.connection.unwrap();
    assert_eq!((bench.origin.stats().open, bench.origin.stats().dialing), (1, 0), "none was made for it");
}
