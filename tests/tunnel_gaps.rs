//! No CONNECT is answered 407 because Leeward was restarted, killed or replaced: its session registers again, and is waited for.

use crate::{
    home::Home,
    support::{
        LIMIT, TestEngine, client, config, eventually,
        raw::read_response,
        tunnel::{ESTABLISHED, TOKEN, connect, register, server},
    },
    takeover::{DRAIN, hooks, host},
};
use leeward::{
    health::unix_ms,
    instance::{Record, TakeOver, read_record, take_over, write_record},
    supervisor::Engine,
};
use scripted::{Plan, Upstream};
use serde_json::json;
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

/// Registers a session again whenever its stream ends, as a wrap does, until it is dropped.
async fn keep_session(address: SocketAddr, token_file: PathBuf) {
    loop {
        let token = std::fs::read_to_string(&token_file).unwrap_or_default();
        let url = format!("http://{address}/_leeward/v1/sessions");
        let body = json!({ "agent": "test", "pid": 1, "tunnel_token": TOKEN });
        if let Ok(mut stream) = client().post(url).bearer_auth(token.trim()).json(&body).send().await {
            while let Ok(Some(_)) = stream.chunk().await {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Takes connections, so that tunnels to it can be opened.
async fn take_all(server: TcpListener) {
    while let Ok((stream, _)) = server.accept().await {
        drop(stream);
    }
}

/// What became of CONNECTs.
#[derive(Default)]
struct Seen {
    opened: AtomicU64,
    /// Ended without an answer, as whatever a killed process had.
    lost: AtomicU64,
}

/// Sends CONNECTs until it is told to stop; each must be answered 200, or not at all where `may_lose`.
async fn ask_steadily(address: SocketAddr, target: SocketAddr, may_lose: bool, stop: Arc<AtomicBool>, seen: Arc<Seen>) {
    while !stop.load(Relaxed) {
        tokio::time::sleep(Duration::from_millis(3)).await;
        let mut stream = TcpStream::connect(address).await.expect("never refused");
        let mut answer = Vec::new();
        let asked = async {
            stream.write_all(connect(target, Some(TOKEN)).as_bytes()).await?;
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(stream.read_u8().await?);
            }
            std::io::Result::Ok(())
        };
        let done = timeout(LIMIT, asked).await.expect("an answer, or an end");
        match done {
            Ok(()) => {
                assert_eq!(String::from_utf8_lossy(&answer), ESTABLISHED);
                seen.opened.fetch_add(1, Relaxed);
            }
            Err(_) if may_lose && answer.is_empty() => drop(seen.lost.fetch_add(1, Relaxed)),
            Err(e) => panic!("{e}: {}", String::from_utf8_lossy(&answer)),
        }
    }
}

struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Seen>,
    asking: JoinSet<()>,
    _beside: JoinSet<()>,
}

impl Load {
    async fn start(address: SocketAddr, token_file: PathBuf, may_lose: bool) -> Self {
        let (server, target) = server().await;
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::<Seen>::default());
        let (mut asking, mut beside) = (JoinSet::new(), JoinSet::new());
        beside.spawn(keep_session(address, token_file));
        beside.spawn(take_all(server));
        for _ in 0..4 {
            asking.spawn(ask_steadily(address, target, may_lose, stop.clone(), seen.clone()));
        }
        Self { stop, seen, asking, _beside: beside }
    }

    /// Waits until so many more were opened.
    async fn goes_on(&self) {
        let before = self.seen.opened.load(Relaxed);
        eventually("CONNECTs go on", async || self.seen.opened.load(Relaxed) > before + 20).await;
    }

    async fn end(self) -> (u64, u64) {
        self.stop.store(true, Relaxed);
        self.asking.join_all().await; // a wrong answer panics its task
        (self.seen.opened.load(Relaxed), self.seen.lost.load(Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_answer_no_connect_with_407() {
    let engine = TestEngine::start(&Upstream::plain(Plan::none()).unwrap());
    // Asked before the session is there: they wait for it.
    let load = Load::start(engine.address, engine.home.path().join("state/control.token"), false).await;
    load.goes_on().await;
    for _ in 0..10 {
        let url = engine.url("/_leeward/v1/restart");
        let answer = client().post(url).bearer_auth(engine.token()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        load.goes_on().await;
    }
    let (opened, _) = load.end().await;
    let refused = engine.stats().await["tunnels"]["ended"]["refused"].clone();
    println!("{opened} tunnels over 10 restarts");
    assert_eq!(refused, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_over_answers_no_connect_with_407() {
    let home = Home::new();
    let serving = home.serve(&[]);
    let load = Load::start(serving.address, home.paths().token_file(), false).await;
    load.goes_on().await;
    let mut config = config(&home.path("leeward"), None);
    config.listen = home.address;
    let paths = home.paths();
    let TakeOver::Taken(taken) = take_over(&paths, &read_record(&paths).unwrap(), None, DRAIN).await.unwrap() else {
        panic!("a `serve` has no window")
    };
    let host = host(&config).holding(taken.lock).inheriting(Some(taken.listener));
    let engine = Engine::start_with(config, host, hooks()).unwrap();
    let record =
        Record { pid: std::process::id(), address: engine.address(), version: "test".into(), started_unix_ms: unix_ms() };
    write_record(&paths, &record).unwrap();
    taken.confirmation.unwrap().confirm().unwrap();
    for _ in 0..5 {
        load.goes_on().await;
    }
    let (opened, _) = load.end().await;
    println!("{opened} tunnels over a take-over");
    engine.stop(Duration::ZERO);
}

/// The wrap holds the socket: CONNECTs wait in its queue for the next process, and there for their session.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_answer_no_connect_with_407() {
    use crate::home::{Running, kill, until};
    let home = Home::new();
    home.agent("claude", r#"echo > "$OUT/ready"; while [ ! -e "$OUT/done" ]; do sleep 0.02; done"#);
    let mut wrap = Running::start(&mut home.command(&["wrap", "claude"]));
    until("the agent runs", || home.path("ready").exists());
    let load = Load::start(home.record().unwrap().address, home.paths().token_file(), true).await;
    load.goes_on().await;
    for _ in 0..5 {
        let before = home.record().unwrap().pid;
        kill(before, "KILL");
        until("another one serves", || home.record().is_some_and(|after| after.pid != before));
        load.goes_on().await;
    }
    let (opened, lost) = load.end().await;
    println!("{opened} tunnels over 5 kills; {lost} connections of killed processes had no answer");
    std::fs::write(home.path("done"), "").unwrap();
    assert_eq!(wrap.ended(), Some(0));
}

/// It learns so within the time that agents wait, on a connection that stays open.
#[tokio::test]
async fn a_wrong_token_is_told_after_the_gap_and_a_session_that_comes_is_served_at_once() {
    let engine = TestEngine::start(&Upstream::plain(Plan::none()).unwrap());
    let (_server, target) = server().await;
    let mut wrong = TcpStream::connect(engine.address).await.unwrap();
    let mut early = TcpStream::connect(engine.address).await.unwrap();
    let began = Instant::now();
    wrong.write_all(connect(target, Some("ffffffffffffffffffffffffffffffff")).as_bytes()).await.unwrap();
    early.write_all(connect(target, Some(TOKEN)).as_bytes()).await.unwrap();
    let mut nothing = [0];
    assert!(timeout(Duration::from_millis(200), early.peek(&mut nothing)).await.is_err(), "it waits for its session");
    // One that leaves meanwhile gives its place back.
    let mut leaves = TcpStream::connect(engine.address).await.unwrap();
    leaves.write_all(connect(target, Some("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee")).as_bytes()).await.unwrap();
    drop(leaves);
    eventually("it is gone", async || engine.stats().await["tunnels"]["ended"]["client-gone"] == 1).await;
    let _session = register(&engine, json!({})).await;
    assert_eq!(read_response(&mut early).await, ESTABLISHED);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let refused = read_response(&mut wrong).await;
    assert!(refused.starts_with("HTTP/1.1 407 "), "{refused}");
    assert!(began.elapsed() > Duration::from_secs(4) && began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    wrong.write_all(connect(target, Some(TOKEN)).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut wrong).await, ESTABLISHED);
    let tunnels = engine.stats().await["tunnels"].clone();
    assert!(tunnels["waited"].as_u64().unwrap() >= 2, "{tunnels}");
}
