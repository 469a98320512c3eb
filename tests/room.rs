//! One local program cannot starve the rest: bodies that are announced, that pause, that dribble; requests in a circle.

use crate::support::{LIMIT, TestEngine, client, eventually, message, raw};
use leeward::config::Config;
use scripted::{Fault, Plan, Upstream};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};

/// A request whose body is announced with `length` bytes and brings `start` of them.
async fn announce(engine: &TestEngine, path: &str, length: usize, start: usize) -> TcpStream {
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {length}\r\n\r\n", engine.address);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; start]).await.unwrap();
    stream
}

async fn ask(engine: &TestEngine, size: usize) -> (u16, String) {
    let mut body = message(false);
    body["messages"][0]["content"] = "x".repeat(size).into();
    let response = client().post(engine.url("/v1/messages")).json(&body).send().await.unwrap();
    let attempts = response.headers().get("x-leeward-attempts").map(|v| v.to_str().unwrap().to_owned());
    (response.status().as_u16(), attempts.unwrap_or_default())
}

const MIB: usize = 1 << 20;

fn one_mib_of_room(c: &mut Config) {
    c.limits.replay_body_bytes = MIB as u64 / 2;
    c.limits.replay_total_bytes = MIB as u64;
}

/// Ten times the room is announced, and all of it is there for who really sends.
#[tokio::test]
async fn what_is_announced_takes_no_room() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, one_mib_of_room);
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(announce(&engine, "/v1/messages", MIB / 2, 1).await);
    }
    eventually("all of them are read", async || engine.stats().await["in_flight"] == 20).await;
    upstream.follow(Plan::times(1, Fault::ResetBeforeHeaders));
    assert_eq!(ask(&engine, MIB / 4).await, (200, "2".to_owned()));
}

/// What came takes room; who finds none is served from the same bytes, in order, once; the room comes back.
#[tokio::test]
async fn without_room_a_body_is_passed_on_as_it_comes() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, one_mib_of_room);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(announce(&engine, "/v1/messages", MIB / 2, MIB / 3).await);
    }
    // Once the room is taken, a request says that it cannot be sent again.
    eventually("the room is taken", async || ask(&engine, MIB / 4).await == (200, "1; not-replayable".to_owned())).await;
    let body: Vec<u8> = (0..MIB / 4).map(|i| (i * 31 % 251) as u8).collect();
    let whole: serde_json::Value =
        client().post(engine.url("/echo")).body(body.clone()).send().await.unwrap().json().await.unwrap();
    let direct: serde_json::Value =
        client().post(upstream.url().join("echo").unwrap()).body(body).send().await.unwrap().json().await.unwrap();
    assert_eq!(whole["body"], direct["body"]);
    let trailers = "POST /echo HTTP/1.1\r\nhost: HOST\r\nte: trailers\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n";
    let answer = raw::talk(engine.address, trailers.replace("HOST", &engine.address.to_string()).as_bytes(), LIMIT).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let record = upstream.log().record();
    let echo = &record.requests.iter().rfind(|r| r.head.path() == "/echo").unwrap().body;
    assert_eq!(echo.kept.as_deref(), Some(&b"hello"[..]));
    assert_eq!(echo.trailers, [("x-sum".to_owned(), "42".to_owned())]);
    drop(held);
    eventually("the room is given back", async || ask(&engine, MIB / 4).await == (200, "1".to_owned())).await;
}

/// A byte now and then buys no time: neither where the body is read whole nor where it is sent while it comes.
#[tokio::test]
async fn a_body_that_dribbles_is_ended_with_a_sentence() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    for (replay_body_bytes, start) in [(32 * MIB as u64, 1), (1000, 32 << 10)] {
        let engine = TestEngine::tuned(&upstream, |c| {
            c.limits.replay_body_bytes = replay_body_bytes;
            c.client.body_idle = Duration::from_millis(400);
        });
        for head in ["content-length: 1000000", "transfer-encoding: chunked"] {
            let mut stream = TcpStream::connect(engine.address).await.unwrap();
            let chunked = head.starts_with("transfer");
            let piece = |n: usize| if chunked { format!("{n:x}\r\n{}\r\n", "x".repeat(n)) } else { "x".repeat(n) };
            let head = format!("POST /v1/messages HTTP/1.1\r\nhost: {}\r\n{head}\r\n\r\n{}", engine.address, piece(start));
            stream.write_all(head.as_bytes()).await.unwrap();
            let (mut reads, mut writes) = stream.split();
            let dribble = async {
                let mut every = interval(Duration::from_millis(40));
                every.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    every.tick().await;
                    writes.write_all(piece(1).as_bytes()).await.ok();
                }
            };
            let mut answer = String::new();
            let told = async {
                while !answer.ends_with('}') {
                    let mut piece = [0; 4096];
                    let n = reads.read(&mut piece).await.unwrap();
                    assert!(n > 0, "{answer}");
                    answer.push_str(std::str::from_utf8(&piece[..n]).unwrap());
                }
            };
            tokio::select! {
                told = timeout(LIMIT, told) => told.expect("told in time"),
                () = dribble => unreachable!("it dribbles for ever"),
            }
            assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("client.min_body_rate"), "{start}: {answer}");
        }
    }
    assert_eq!(upstream.log().record().processed(), 0);
}

/// The same pace is enough where the config asks for less, and without a rate only pauses count.
#[tokio::test]
async fn a_body_that_moves_may_take_its_time() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    for rate in [0, 10] {
        let engine = TestEngine::tuned(&upstream, |c| {
            c.client.body_idle = Duration::from_secs(2);
            c.client.min_body_rate = rate;
        });
        let mut stream = announce(&engine, "/echo", 80, 0).await;
        let mut every = interval(Duration::from_millis(60));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..80 {
            every.tick().await;
            stream.write_all(b"x").await.unwrap();
        }
        let answer = raw::read_response(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "rate {rate}: {answer}");
    }
}

/// Uploads that have hardly begun take no connection at all.
#[tokio::test]
async fn an_upload_that_does_not_move_takes_no_connection() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.limits.replay_body_bytes = 1000;
        c.pool.size = 4;
    });
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(announce(&engine, "/v1/files", MIB, 1).await);
    }
    eventually("all of them are read", async || engine.stats().await["in_flight"] == 8).await;
    assert_eq!(ask(&engine, 10).await.0, 200);
    assert_eq!(upstream.log().record().connections.len(), 1);
}

/// Uploads that stop on their way have half of the pool. One that pauses gives way to the next, and is told so; where nobody
/// waits it may go on.
#[tokio::test]
async fn uploads_that_pause_leave_connections_to_others() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.limits.replay_body_bytes = 1000;
        c.pool.size = 4;
        c.client.upload_stall = Duration::from_millis(100);
    });
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(announce(&engine, "/v1/files", MIB, 64 << 10).await);
    }
    upstream.log().wait_for(|r| r.connections.len() == 2, LIMIT).await.unwrap();
    for _ in 0..4 {
        assert_eq!(ask(&engine, 10).await.0, 200, "the other half serves");
    }
    assert!(upstream.log().record().connections.len() <= 4);
    // The third one waits for a turn, and gets it from one of those that pause.
    let third = client().post(engine.url("/echo")).body(vec![b'y'; 4 * MIB]).send().await.unwrap();
    assert_eq!(third.status(), 200);
    let answers = held.iter_mut().map(|stream| Box::pin(raw::read_response(stream)));
    let (answer, at, _) = timeout(LIMIT, futures_util::future::select_all(answers)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("client.upload_stall"), "{answer}");
    let mut other = held.swap_remove(1 - at);
    other.write_all(&vec![b'x'; MIB - (64 << 10)]).await.unwrap();
    let answer = raw::read_response(&mut other).await;
    assert!(!answer.contains("x-leeward-error"), "nobody wanted its place any more: {answer}");
}

/// Two Leewards that name each other: one round, and the reason.
#[tokio::test]
async fn two_leewards_in_a_circle_end_after_one_round() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let second = TestEngine::tuned(&upstream, |c| c.upstream = format!("http://127.0.0.1:{port}").parse().unwrap());
    let first = TestEngine::tuned(&upstream, |c| {
        c.listen.set_port(port);
        c.upstream = second.url("").parse().unwrap();
    });
    let response = client().post(first.url("/v1/messages")).json(&message(true)).send().await.unwrap();
    let said = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        (response.status().as_u16(), said("x-leeward-error"), said("x-should-retry")),
        (508, "loop".into(), "false".into())
    );
    assert!(response.text().await.unwrap().contains("leads back to it"));
    assert_eq!((&first.stats().await["requests"], &second.stats().await["requests"]), (&2.into(), &1.into()));
}

/// The mark goes where a circle is possible; an API behind https gets what the agent sent.
#[tokio::test]
async fn only_plain_upstreams_see_a_mark() {
    for (upstream, marked) in [(Upstream::plain(Plan::none()).unwrap(), true), (Upstream::tls(Plan::none()).unwrap(), false)] {
        let engine = TestEngine::start(&upstream);
        let request = client().post(engine.url("/v1/messages")).header("via", "1.0 fred").json(&message(true));
        assert_eq!(request.send().await.unwrap().status(), 200);
        let record = upstream.log().record();
        let headers = record.requests[0].head.headers.iter();
        let via: Vec<_> = headers.filter(|(n, _)| n.eq_ignore_ascii_case("via")).map(|(_, v)| v.as_str()).collect();
        assert_eq!((via[0], via.len()), ("1.0 fred", if marked { 2 } else { 1 }), "{via:?}");
        assert!(via[1..].iter().all(|v| v.starts_with("1.1 leeward-")), "{via:?}");
    }
}
