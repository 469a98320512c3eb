//! Paths that break only in part: large hellos, one address family, large packets. The client sees nothing of it.

use crate::support::{
    LIMIT, TestEngine, client, message,
    middlebox::{Middlebox, WriteOutcome},
    seam::scripted_network,
};
use leeward::{
    config::Config,
    network::{NetworkNews, NetworkWhy},
    supervisor::TestHooks,
};
use scripted::{Plan, Upstream};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn ask(engine: &TestEngine) -> (u16, String) {
    let response = client().post(engine.url("/v1/messages")).json(&message(false)).send().await.unwrap();
    let attempts = response.headers()["x-leeward-attempts"].to_str().unwrap().to_owned();
    let status = response.status().as_u16();
    response.bytes().await.unwrap();
    (status, attempts)
}

/// U2: within one attempt, and known from then on, also to the generations to come. One reset says too little for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u2_a_network_that_breaks_post_quantum_hellos_is_not_noticed() {
    let cases: [(fn(bool) -> WriteOutcome, usize); 2] = [
        (|large| if large { WriteOutcome::Reset } else { WriteOutcome::Pass }, 3),
        (|large| if large { WriteOutcome::Swallow } else { WriteOutcome::Pass }, 1),
    ];
    for (judge, times) in cases {
        let upstream = Upstream::tls(Plan::none()).unwrap();
        let middlebox = Middlebox::start(upstream.address(), "127.0.0.1:0", judge).await.unwrap();
        let tune = |c: &mut Config| {
            c.upstream = format!("https://{}", middlebox.address).parse().unwrap();
            // What is swallowed costs this; what passes must not.
            c.connect.tls_timeout = Duration::from_secs(2);
            c.pool.idle = Duration::ZERO;
        };
        let (news, source) = scripted_network();
        let engine = TestEngine::with(Some(&upstream), tune, TestHooks { network: Some(source), ..TestHooks::default() });
        for _ in 0..times {
            assert_eq!(ask(&engine).await, (200, "1".into()));
            assert_eq!(middlebox.take_seen(), [true, false]);
        }
        assert_eq!(ask(&engine).await, (200, "1".into()));
        assert_eq!(middlebox.take_seen(), [false], "classical at once");
        let restart = client().post(engine.url("/_leeward/v1/restart")).bearer_auth(engine.token());
        assert_eq!(restart.send().await.unwrap().status(), 200);
        assert_eq!(ask(&engine).await, (200, "1".into()));
        assert_eq!(middlebox.take_seen(), [false], "the next generation knows it");
        news.send(NetworkNews::Changed { why: NetworkWhy::Addresses, fingerprint: Some(7) }).await.unwrap();
        let mut status = engine.engine.status();
        status.wait_for(|s| s.network.changes == 1).await.unwrap();
        assert_eq!(ask(&engine).await, (200, "1".into()));
        // The pool may have warmed a connection meanwhile.
        assert!(middlebox.take_seen().contains(&true), "another network is asked");
        let stats = engine.stats().await;
        assert!(stats["retried"]["tls"].as_u64().unwrap() > 0 && stats["outcomes"]["failed"] == 0, "{stats}");
    }
}

/// U1, RFC 8305 through TLS: IPv6 connects and breaks; it is asked once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u1_a_family_that_breaks_in_tls_is_tried_last_afterwards() {
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let Ok(six) = Middlebox::start(upstream.address(), "[::1]:0", |_| WriteOutcome::Reset).await else {
        eprintln!("SKIP: this machine has no ::1");
        return;
    };
    let port = six.address.port();
    let resolved: Vec<_> = tokio::net::lookup_host(("localhost", port)).await.unwrap().collect();
    let Ok(four) = Middlebox::start(upstream.address(), &format!("127.0.0.1:{port}"), |_| WriteOutcome::Pass).await else {
        eprintln!("SKIP: port {port} is not free on 127.0.0.1");
        return;
    };
    if !resolved.contains(&six.address) || !resolved.contains(&four.address) {
        eprintln!("SKIP: localhost is {resolved:?} here");
        return;
    }
    let (_news, source) = scripted_network();
    let tune = |c: &mut Config| {
        c.upstream = format!("https://localhost:{port}").parse().unwrap();
        c.pool.idle = Duration::ZERO;
    };
    let engine = TestEngine::with(Some(&upstream), tune, TestHooks { network: Some(source), ..TestHooks::default() });
    for _ in 0..3 {
        assert_eq!(ask(&engine).await, (200, "1".into()));
    }
    assert!(six.take_seen().len() <= 1, "the broken family is left alone");
    assert_eq!(four.take_seen().len(), 3);
}

/// A listener whose connections have little room, so that little fits into the kernel on the way.
fn narrow() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(16).unwrap()
}

fn engine(listener: &TcpListener, write_stall: Duration) -> TestEngine {
    let url = format!("http://{}", listener.local_addr().unwrap());
    TestEngine::with(
        None,
        |c| {
            c.upstream = url.parse().unwrap();
            c.connect.write_stall = write_stall;
            c.retry.total = LIMIT;
        },
        TestHooks::default(),
    )
}

async fn read_request(stream: &mut TcpStream, pause: Duration) {
    let (mut seen, mut piece) = (Vec::new(), vec![0; 8 << 10]);
    loop {
        let n = stream.read(&mut piece).await.unwrap();
        assert!(n > 0, "the request ended early");
        seen.extend_from_slice(&piece[..n]);
        let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&seen[..end]).to_ascii_lowercase();
        let length: usize = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        if seen.len() >= end + 4 + length {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Path MTU black hole as a proxy sees it: the way takes some bytes, then none.
async fn stalls_once(path: &str, body: usize, cause: &str, replays: u64) {
    let listener = narrow();
    let engine = engine(&listener, Duration::from_millis(500));
    let serve = async {
        let (_deaf, _) = listener.accept().await.unwrap();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream, Duration::ZERO).await;
            stream.write_all(ANSWER).await.unwrap();
        }
    };
    let asks = async {
        let response = client().post(engine.url(path)).body(vec![b'x'; body]).send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["x-leeward-attempts"]), (200, &"2".parse().unwrap()));
        assert_eq!(response.text().await.unwrap(), "ok");
        let stats = engine.stats().await;
        assert_eq!((&stats["retried"][cause], &stats["replays"]), (&1.into(), &replays.into()), "{stats}");
    };
    tokio::select! {
        () = asks => {}
        () = serve => unreachable!("it serves for ever"),
    }
}

#[tokio::test]
async fn u5_a_request_that_the_network_stops_taking_goes_out_again() {
    // No inference path: what never left whole may be sent again whatever it is.
    stalls_once("/v1/files", 16 << 20, "write-stalled", 0).await;
}

/// It fits into the kernel's buffer, so only the kernel knows that nothing of it arrives.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn u5_a_request_that_nobody_acknowledges_goes_out_again() {
    stalls_once("/v1/messages", 100 << 10, "fresh-reset", 1).await;
}

/// All of it may have arrived, and only the acknowledgements got lost: a token that rotates must not be asked for twice.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn u5_a_request_that_nobody_acknowledges_and_that_must_not_run_twice_is_told() {
    let listener = narrow();
    let engine = engine(&listener, Duration::from_millis(500));
    let asks = async {
        let response = client().post(engine.url("/v1/oauth/token")).body(vec![b'x'; 100 << 10]).send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["x-leeward-attempts"]), (502, &"1".parse().unwrap()));
        assert!(response.text().await.unwrap().contains("the network takes no more data to"));
    };
    let serve = async {
        let (_deaf, _) = listener.accept().await.unwrap();
        listener.accept().await.unwrap();
    };
    tokio::select! {
        () = asks => {}
        () = serve => panic!("it was sent again"),
    }
}

/// Slow is not stalled: each pause is short, the whole takes longer than the limit.
#[tokio::test]
async fn u5_a_slow_upload_is_left_alone_while_bytes_move() {
    let listener = narrow();
    let limit = Duration::from_secs(2);
    let engine = engine(&listener, limit);
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        // 256 reads at least.
        read_request(&mut stream, Duration::from_millis(10)).await;
        stream.write_all(ANSWER).await.unwrap();
        std::future::pending().await
    };
    let asks = async {
        let began = std::time::Instant::now();
        let response = client().post(engine.url("/v1/messages")).body(vec![b'x'; 2 << 20]).send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["x-leeward-attempts"]), (200, &"1".parse().unwrap()));
        assert!(began.elapsed() > limit, "the upload must outlast the limit, or this test says nothing: {:?}", began.elapsed());
    };
    tokio::select! {
        () = asks => {}
        () = serve => unreachable!("it waits for ever"),
    }
}
