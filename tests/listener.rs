//! The listener's contract, L1-L4 and L7-L9: fault -> outcome over real sockets; and the end of its owner.

use crate::support::{
    LIMIT, TestEngine, client, eventually, raw,
    seam::{Script, Step, scripted_network},
};
use leeward::{
    network::{NetworkNews, NetworkWhy},
    status::Phase,
    supervisor::TestHooks,
    view,
};
use scripted::{Plan, Upstream};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

fn upstream() -> Upstream {
    Upstream::plain(Plan::none()).unwrap()
}

/// A fresh connection each time, as a newly started agent makes.
async fn is_healthy(address: SocketAddr) -> bool {
    let request = format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    stream.write_all(request.as_bytes()).await.is_ok()
        && raw::read_all(&mut stream, Duration::from_secs(10)).await.starts_with(b"HTTP/1.1 200")
}

/// L1: 10,000 resets of four shapes, `/health` between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l1_resets_cost_nobody_else_anything() {
    let upstream = upstream();
    let engine = TestEngine::start(&upstream);
    let mut resetting = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let address = engine.address;
        resetting.spawn(async move {
            let mut healthy = 0;
            for i in 0..1250 {
                raw::reset(address, worker + i).await;
                if i % 10 == 0 {
                    assert!(is_healthy(address).await, "after {i} resets of worker {worker}");
                    healthy += 1;
                }
            }
            healthy
        });
    }
    assert_eq!(resetting.join_all().await.into_iter().sum::<i32>(), 1000);
    assert_eq!(engine.health().await["status"], "ok");
    eventually("their connections are forgotten", async || {
        engine.health().await["listener"]["connections"].as_u64().unwrap() < 20
    })
    .await;
}

/// L2: whatever `accept` returns, that connection is lost and nothing else. There is no list of benign kinds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_every_accept_error_is_survived() {
    let upstream = upstream();
    let script = Script::default();
    let engine = TestEngine::with(Some(&upstream), |_| {}, script.hooks());
    let mut errors: Vec<fn() -> io::Error> = vec![
        || io::Error::other("no code at all"),
        || io::Error::from(io::ErrorKind::InvalidInput),
        || io::Error::from(io::ErrorKind::NotConnected),
        || io::Error::from(io::ErrorKind::ConnectionReset),
    ];
    macro_rules! codes { ($($code:literal)*) => { errors.extend([$((|| io::Error::from_raw_os_error($code)) as fn() -> io::Error),*]) } }
    codes!(64 59 10053 10054 10055 10057 121); // Windows', as numbers that mean nothing here
    codes!(1 4 9 11 12 22 23 24 71 88 93 94 95 100 101 103 104 105 110 111 112 113); // EPERM … EHOSTUNREACH of Linux
    let kinds = errors.len() as u64;
    for make in errors {
        let text = make().to_string();
        let lost = TcpStream::connect(engine.address).await.unwrap();
        script.then([Step::Fail(make())]);
        drop(lost);
        // The step takes this connection or the one before it; the next one must be served.
        let began = Instant::now();
        let _lost = TcpStream::connect(engine.address).await.unwrap();
        eventually("the error is seen", async || script.left() == 0).await;
        assert!(is_healthy(engine.address).await, "dead after {text}");
        assert!(began.elapsed() < Duration::from_secs(10), "{text}: {:?}", began.elapsed());
    }
    let health = engine.health().await;
    assert_eq!(health["listener"]["accept_errors"], kinds, "{health}");
    assert_eq!(health["listener"]["rebinds"], 0, "a sound socket is not bound again: {health}");
    assert!(health["listener"]["last_accept_error"].as_str().unwrap().contains("113"), "{health}");
}

/// L2: a storm of errors slows nobody down by a sleep per error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_a_storm_of_errors_is_survived() {
    let upstream = upstream();
    let script = Script::default();
    let engine = TestEngine::with(Some(&upstream), |_| {}, script.hooks());
    script.then((0..200).map(|_| Step::Fail(io::Error::from_raw_os_error(10054))));
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(TcpStream::connect(engine.address).await.unwrap());
    }
    assert!(is_healthy(engine.address).await);
    assert_eq!(script.left(), 0);
}

/// L3: other code shuts the socket down; the same port is bound again and the stream in flight does not notice.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l3_a_socket_shut_down_is_bound_again() {
    let upstream = upstream();
    let script = Script::default();
    let engine = TestEngine::with(Some(&upstream), |_| {}, script.hooks());
    for round in 1..=3 {
        let mut stream = client().get(engine.url("/sse/20?delay_ms=50")).send().await.unwrap();
        assert!(stream.chunk().await.unwrap().is_some());
        script.shut_socket_down();
        let began = Instant::now();
        eventually("the port answers again", async || is_healthy(engine.address).await).await;
        let took = began.elapsed();
        let rest = stream.text().await.expect("the stream in flight is unharmed");
        assert!(rest.matches("data:").count() >= 15, "{rest}");
        let health = engine.health().await;
        assert_eq!(
            (health["listener"]["rebinds"].as_u64(), health["generation"].as_u64()),
            (Some(round), Some(1)),
            "after {took:?}: {health}"
        );
    }
}

/// L4: a panic, a hang and a stalled runtime each end in a new generation on the same socket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l4_a_dead_accept_loop_is_replaced() {
    for step in [Step::Panic, Step::Hang, Step::Block(Duration::from_secs(30))] {
        let name = match step {
            Step::Panic => "panic",
            Step::Hang => "hang",
            _ => "stalled runtime",
        };
        let upstream = upstream();
        let script = Script::default();
        let engine = TestEngine::with(
            Some(&upstream),
            |c| {
                c.workers = 1; // so that one blocked thread is the whole runtime
                c.watch.stall = Duration::from_millis(1200);
            },
            script.hooks(),
        );
        let mut status = engine.engine.status();
        script.then([step]);
        let mut last = TcpStream::connect(engine.address).await.unwrap();
        // Written before anybody accepts it: it waits in the backlog or is the one that is lost.
        last.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
        let waiting = tokio::spawn({
            let address = engine.address;
            async move { is_healthy(address).await }
        });
        tokio::time::timeout(LIMIT, status.wait_for(|s| s.generation == 2))
            .await
            .unwrap_or_else(|_| panic!("{name}: no new generation"))
            .unwrap();
        assert!(waiting.await.unwrap(), "{name}: a connection that waited in the backlog was lost");
        assert!(is_healthy(engine.address).await, "{name}");
    }
}

/// L7: the next free port, the holder by name, and a condition for as long as it lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l7_a_taken_port_is_named_and_stepped_over() {
    // Another program may hold 8787 on this machine already; then that one is stepped over.
    let ours = std::net::TcpListener::bind("127.0.0.1:8787").ok();
    let upstream = upstream();
    let engine = TestEngine::with(
        Some(&upstream),
        |c| {
            c.listen = "127.0.0.1:8787".parse().unwrap();
            c.listen_pinned = false;
        },
        TestHooks::default(),
    );
    assert!((8788..=8806).contains(&engine.address.port()), "{}", engine.address);
    let health = engine.health().await;
    assert_eq!(
        (health["status"].as_str(), health["conditions"][0]["code"].as_str()),
        (Some("degraded"), Some("port-taken")),
        "{health}"
    );
    assert!(is_healthy(engine.address).await);
    if let Some(ours) = ours {
        if cfg!(target_os = "linux") {
            let sentence = health["conditions"][0]["sentence"].as_str().unwrap();
            assert!(sentence.contains(&format!("pid {}", std::process::id())), "{sentence}");
        }
        drop(ours);
        eventually("the condition goes", async || engine.health().await["status"] == "ok").await;
    }
}

/// L8: over the cap clients are told, not refused; when one leaves, the next is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l8_over_the_cap_clients_are_told() {
    let upstream = upstream();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.limits.connections = 10;
        c.watch.probe = Duration::from_millis(20);
    });
    let request = format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", engine.address);
    let mut idle = Vec::new();
    while idle.len() < 10 {
        let mut stream = TcpStream::connect(engine.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = raw::read_response(&mut stream).await;
        assert!(answer.contains("200 OK"), "{answer}");
        // One that came while the self-probe was there is one too many already.
        if !answer.contains("connection: close") {
            idle.push(stream);
        }
    }
    let request = request.replace("/livez", "/v1/models");
    for _ in 0..50 {
        let mut stream = TcpStream::connect(engine.address).await.expect("never refused");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = raw::read_response(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1") && answer.contains("connection: close"),
            "{answer}"
        );
    }
    // The self-probe is one of those too many, and knows that nothing is wrong with the engine.
    let status = engine.engine.status();
    let seen = status.borrow().probe.as_ref().map(|p| p.at_unix_ms);
    eventually("three more probes", async || {
        let now = status.borrow().probe.as_ref().map(|p| p.at_unix_ms);
        now > seen.map(|t| t + 100)
    })
    .await;
    assert_eq!((status.borrow().generation, status.borrow().probe.as_ref().map(|p| p.misses)), (1, Some(0)));
    assert!(is_healthy(engine.address).await, "Leeward's own paths are there for whoever looks after it");
    drop(idle);
    eventually("there is room again", async || client().get(engine.url("/v1/models")).send().await.unwrap().status() == 200)
        .await;
    assert!(engine.health().await["listener"]["over_cap"].as_u64().unwrap() >= 50);
}

/// L8: 5,000 idle connections disturb nobody and stay open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l8_thousands_of_idle_clients_stay() {
    let upstream = upstream();
    let engine = TestEngine::start(&upstream);
    let mut idle = Vec::new();
    for i in 0..5000 {
        idle.push(TcpStream::connect(engine.address).await.unwrap_or_else(|e| panic!("client {i}: {e}")));
    }
    eventually("all are accepted", async || engine.health().await["listener"]["connections"].as_u64().unwrap() >= 5000).await;
    let began = Instant::now();
    let answered = client().post(engine.url("/v1/messages")).json(&crate::support::message(false)).send().await.unwrap();
    assert_eq!(answered.status(), 200, "{:?}", began.elapsed());
    let request = format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", engine.address);
    for stream in idle.iter_mut().step_by(500) {
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(raw::read_response(stream).await.contains("200 OK"));
    }
}

/// L9: a real request over the real port; its age is there to be shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l9_the_engine_probes_itself() {
    let upstream = upstream();
    let script = Script::default();
    let engine = TestEngine::with(
        Some(&upstream),
        |c| {
            c.watch.probe = Duration::from_millis(50);
            c.watch.probe_timeout = Duration::from_millis(300);
        },
        script.hooks(),
    );
    let mut status = engine.engine.status();
    let first = tokio::time::timeout(LIMIT, status.wait_for(|s| s.probe.as_ref().is_some_and(|p| p.ok)))
        .await
        .unwrap()
        .unwrap()
        .probe
        .clone();
    assert!(first.unwrap().at_unix_ms > 0);
    // The loop accepts nothing more; the probe is the first to notice, says so, and has it replaced.
    script.then([Step::Hang]);
    tokio::time::timeout(LIMIT, status.wait_for(|s| s.generation == 2)).await.unwrap().unwrap();
    tokio::time::timeout(LIMIT, status.wait_for(|s| s.conditions.is_empty() && s.probe.as_ref().is_some_and(|p| p.ok)))
        .await
        .unwrap()
        .unwrap();
}

/// L9: what was mended is probed at once, so that nobody is told of a fault that is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l9_what_was_mended_is_probed_at_once() {
    let upstream = upstream();
    let (script, (tell, network)) = (Script::default(), scripted_network());
    let engine = TestEngine::with(
        Some(&upstream),
        |c| {
            c.watch.probe = LIMIT * 3;
            c.watch.probe_timeout = Duration::from_millis(300);
        },
        TestHooks { network: Some(network), ..script.hooks() },
    );
    let mut status = engine.engine.status();
    script.then([Step::Hang]);
    // Another network makes it probe out of its turn.
    tell.send(NetworkNews::Changed { why: NetworkWhy::Reported, fingerprint: None }).await.unwrap();
    tokio::time::timeout(LIMIT, status.wait_for(|s| s.generation == 2)).await.unwrap().unwrap();
    let mended = status.wait_for(|s| s.conditions.is_empty() && s.probe.as_ref().is_some_and(|p| p.ok));
    tokio::time::timeout(LIMIT, mended).await.expect("long before the next probe's turn").unwrap();
}

/// L9: while accepting fails for want of descriptors, nobody can be answered, and another engine would have no more of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l9_an_engine_that_is_short_of_descriptors_is_not_replaced() {
    let upstream = upstream();
    let script = Script::default();
    let tune = |c: &mut leeward::config::Config| {
        (c.watch.probe, c.watch.probe_timeout) = (Duration::from_millis(20), Duration::from_millis(500));
    };
    let engine = TestEngine::with(Some(&upstream), tune, script.hooks());
    let mut status = engine.engine.status();
    let first = status.wait_for(|s| s.probe.as_ref().is_some_and(|p| p.ok));
    tokio::time::timeout(LIMIT, first).await.unwrap().unwrap();
    // Each makes a probe wait in vain.
    let short = if cfg!(windows) { 10_024 } else { 24 };
    script.then((0..6).map(|_| Step::Starve(io::Error::from_raw_os_error(short))));
    let unasked = status.wait_for(|s| s.probe.as_ref().is_some_and(|p| p.ok && p.misses == 0 && p.unasked >= 4));
    tokio::time::timeout(LIMIT, unasked).await.expect("what is known stays as it is").unwrap();
    let well = status.wait_for(|s| s.conditions.is_empty() && s.probe.as_ref().is_some_and(|p| p.ok && p.unasked == 0));
    tokio::time::timeout(LIMIT, well).await.expect("it is over with the shortage").unwrap();
    assert_eq!((script.left(), status.borrow().generation, status.borrow().listener.rebinds), (0, 1, 0));
}

/// The backstop: a supervisor that panics cannot mend anything any more, and says so to whoever shows or serves it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_that_panics_is_told_of() {
    let upstream = upstream();
    let panics = Arc::new(AtomicBool::new(false));
    let told = panics.clone();
    let each_turn: Arc<dyn Fn() + Send + Sync> = Arc::new(move || assert!(!told.load(SeqCst), "scripted"));
    let hooks = TestHooks { each_turn: Some(each_turn), ..TestHooks::default() };
    let engine = TestEngine::with(Some(&upstream), |_| {}, hooks);
    let mut status = engine.engine.status();
    assert!(is_healthy(engine.address).await);
    assert_eq!(status.borrow().failure(), None);
    panics.store(true, SeqCst);
    let failed = tokio::time::timeout(LIMIT, status.wait_for(|s| s.failure().is_some())).await.unwrap().unwrap().clone();
    assert_eq!((&failed.phase, failed.listener.accepting, failed.verdict()), (&Phase::Stopped, false, "broken"));
    let shown = view::headline(&failed, 0);
    assert!(shown.level == view::Level::Broken && shown.sentence.contains("start Leeward again"), "{shown:?}");
    let around = view::menu::Around::default();
    assert_eq!(view::menu::tray(&failed, &around, 0).icon, view::menu::Icon::Broken);
    let (notice, _) = view::notice::Notices::default().look(&failed, 0);
    assert!(
        notice.is_some_and(|notice| notice.text.to_lowercase().contains("start leeward again")),
        "told at once: nothing repairs it"
    );
    // Who watches for the end sees it, and the port is free for the next one.
    tokio::time::timeout(LIMIT, async { while status.changed().await.is_ok() {} }).await.expect("the end is seen");
    eventually("the port is free", async || TcpStream::connect(engine.address).await.is_err()).await;
    engine.engine.stop(Duration::ZERO);
}
