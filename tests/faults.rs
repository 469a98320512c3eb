//! The request's contract on bad days, beside the table of `table`: what takes more than one fault and one request.

use crate::support::{LIMIT, TestEngine, client, eventually, message};
use leeward::config::{Trust, UnknownFate};
use leeward::supervisor::TestHooks;
use scripted::{Fault, Mark, Plan, Upstream};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Large enough that a reset in the middle finds bytes still unsent.
fn large_message(stream: bool) -> String {
    let mut message = message(stream);
    message["messages"][0]["content"] = "x".repeat(8 << 20).into();
    message.to_string()
}

/// U12: status, headers and body of a declined request, to the byte.
#[tokio::test]
async fn u12_a_refusal_of_the_api_is_passed_unchanged() {
    let headers = vec![
        ("retry-after".to_owned(), "3".to_owned()),
        ("X-Should-Retry".to_owned(), "false".to_owned()),
        ("anthropic-ratelimit-unified-status".to_owned(), "rejected".to_owned()),
    ];
    let upstream = Upstream::plain(Plan::always(Fault::Status(429, headers.clone()))).unwrap();
    let engine = TestEngine::start(&upstream);
    let direct = client().post(upstream.url().join("v1/messages").unwrap()).json(&message(true)).send().await.unwrap();
    let through = client().post(engine.url("/v1/messages")).json(&message(true)).send().await.unwrap();
    assert_eq!(through.status(), 429);
    for (name, value) in headers {
        assert_eq!(through.headers()[name.as_str()], value.as_str());
    }
    assert_eq!(through.text().await.unwrap(), direct.text().await.unwrap());
    assert_eq!(engine.stats().await["outcomes"]["declined"], 1);
}

/// U12: an API that refuses a large body before it has read it, and closes: the refusal is what the agent gets.
#[tokio::test]
async fn u12_an_early_refusal_is_failed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let engine = TestEngine::with(None, |c| c.upstream = url.parse().unwrap(), TestHooks::default());
    let refuse = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 64]).await.unwrap();
            stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nlong").await.unwrap();
            // Dropped with unread bytes: an RST after the response.
        }
    };
    let ask = async {
        let response = client().post(engine.url("/v1/messages")).body(large_message(true)).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers().contains_key("x-leeward-error")), (413, false));
        assert_eq!(response.text().await.unwrap(), "long");
    };
    tokio::select! {
        () = ask => {}
        () = refuse => unreachable!("it refuses for ever"),
    }
}

/// U15: a client that closes its own direction is taken as one that has gone, since nothing tells the two apart before it
/// is written to. No agent does it while it waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u15_a_client_that_half_closes_has_gone() {
    let upstream = Upstream::plain(Plan::always(Fault::StallBeforeHeaders)).unwrap();
    let engine = TestEngine::start(&upstream);
    let mut client = tokio::net::TcpStream::connect(engine.address).await.unwrap();
    let body = message(true).to_string();
    let head = format!("POST /v1/messages HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", engine.address, body.len());
    client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    upstream.log().wait_for(|r| r.requests.iter().any(|r| r.body.complete), LIMIT).await.unwrap();
    client.shutdown().await.unwrap();
    upstream.log().wait_for(|r| r.requests[0].abandoned.is_some(), LIMIT).await.unwrap();
    eventually("it is counted", async || engine.stats().await["outcomes"]["client-gone"] == 1).await;
    assert_eq!(client.read(&mut [0; 16]).await.unwrap(), 0, "and the other direction is closed properly");
}

/// U9: what came before the cut reaches the client, also when both came at once.
#[tokio::test]
async fn u9_what_arrived_before_a_cut_is_delivered() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let engine = TestEngine::with(None, |c| c.upstream = url.parse().unwrap(), TestHooks::default());
    let cut = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n6\r\nse").await.unwrap();
        drop(stream);
        std::future::pending().await
    };
    let ask = async {
        let mut response = client().get(engine.url("/v1/models")).send().await.unwrap();
        assert_eq!(response.chunk().await.unwrap().as_deref(), Some(&b"first"[..]));
        while let Ok(more) = response.chunk().await {
            assert_eq!(more.as_deref(), Some(&b"se"[..]), "the end must look like a cut");
        }
    };
    tokio::select! {
        () = ask => {}
        () = cut => {}
    }
}

/// U1 and U16: an upstream that is not there is waited for until the limit, then told of at once, in each dialect.
#[tokio::test]
async fn u16_when_all_is_spent_each_client_is_told_in_its_dialect() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let dead = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let engine = TestEngine::tuned(&upstream, |c| {
        c.upstream = format!("http://{dead}").parse().unwrap();
        c.retry.total = Duration::from_millis(300);
        c.circuit.failures = 1000; // what an open circuit says is tested in `circuit`
    });
    for (path, pointer, wanted) in [
        ("/v1/messages", "/error/type", "api_error"),
        ("/v1/chat/completions", "/error/code", "connect"),
        ("/v1beta/models/g:generateContent", "/error/status", "UNAVAILABLE"),
    ] {
        let began = Instant::now();
        let response = client().post(engine.url(path)).json(&message(false)).send().await.unwrap();
        let took = began.elapsed();
        assert_eq!(response.status(), 503, "{path}");
        let headers = response.headers().clone();
        assert_eq!((&headers["retry-after"], &headers["x-should-retry"]), (&"1".parse().unwrap(), &"true".parse().unwrap()));
        assert!(headers["x-leeward-attempts"].to_str().unwrap().parse::<u32>().unwrap() > 1, "it was tried again: {headers:?}");
        assert!(took >= Duration::from_millis(150), "given up too early: {took:?}");
        assert!(took < Duration::from_secs(5), "told too late: {took:?}");
        let json: serde_json::Value = response.json().await.unwrap();
        assert_eq!(json.pointer(pointer).unwrap(), wanted, "{json}");
        let sentence = json.pointer("/error/message").unwrap().as_str().unwrap();
        assert!(sentence.contains("nothing listens on") && sentence.contains(&dead.to_string()), "{sentence}");
    }
    eventually("the condition is shown", async || engine.health().await["conditions"][0]["code"] == "upstream-unreachable").await;
}

/// U1: an upstream that comes up within the limit is reached, and the client never knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u1_an_upstream_that_comes_up_late_is_reached() {
    let spare = Upstream::plain(Plan::none()).unwrap();
    let address = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let engine = TestEngine::tuned(&spare, |c| {
        c.upstream = format!("http://{address}").parse().unwrap();
        c.retry.total = LIMIT;
    });
    let asked = tokio::spawn(client().post(engine.url("/v1/messages")).json(&message(false)).send());
    eventually("a dial fails", async || engine.stats().await["pool"]["dial_failures"].as_u64().unwrap() > 0).await;
    let _upstream = Upstream::start(address, Plan::none(), false).unwrap();
    let response = asked.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert!(engine.stats().await["retried"]["connect"].as_u64().unwrap() > 0);
}

/// U3: no retry, and the issuer is named.
#[tokio::test]
async fn u3_an_untrusted_certificate_is_told_at_once() {
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let other = Upstream::tls(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.trust = Trust::Only(vec![other.authority().unwrap().to_vec()]));
    let response = client().post(engine.url("/v1/messages")).json(&message(true)).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["x-should-retry"].to_str().unwrap()), (502, "false"));
    assert_eq!(response.headers()["x-leeward-attempts"], "1");
    let text = response.text().await.unwrap();
    assert!(text.contains("not trusted: issued by ") && text.contains("inspects TLS, set extra_ca"), "{text}");
    assert_eq!(upstream.log().record().connections.len(), 1);
    assert_eq!(engine.health().await["conditions"][0]["code"], "certificate-untrusted");
}

/// U6 is for inference and safe methods only; U7 for safe methods only.
#[tokio::test]
async fn u6_other_requests_are_never_sent_twice() {
    for (method, path, replayed) in [
        ("POST", "/v1/files", false),
        ("POST", "/v1/oauth/token", false),
        ("PUT", "/v1/messages", false),
        ("GET", "/v1/models", true),
    ] {
        for reused in [true, false] {
            let upstream = Upstream::plain(Plan::none()).unwrap();
            let engine = TestEngine::start(&upstream);
            let ask = || {
                let body = if method == "GET" { "" } else { "{}" };
                // An empty value is written in fewer bytes than others: the request must not look as if some were missing.
                client().request(method.parse().unwrap(), engine.url(path)).header("x-empty", "").body(body).send()
            };
            if reused {
                ask().await.unwrap().bytes().await.unwrap();
            }
            upstream.follow(Plan::times(1, if reused { Fault::ResetOnReuse } else { Fault::ResetBeforeHeaders }));
            let response = ask().await.unwrap();
            let seen = upstream.log().record().requests.len() - usize::from(reused);
            assert_eq!(
                (response.headers().contains_key("x-leeward-error"), seen),
                (!replayed, if replayed { 2 } else { 1 }),
                "{method} {path} reused: {reused}"
            );
            assert_eq!(engine.stats().await["replays"], u64::from(replayed), "{method} {path}");
        }
    }
}

/// A replay waits for a fresh connection; a full pool of used ones must make room for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u6_a_replay_gets_its_place_in_a_full_pool() {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let engine = TestEngine::with(
        None,
        |c| {
            c.upstream = url.parse().unwrap();
            c.pool.size = 1;
        },
        TestHooks::default(),
    );
    let ask = || async { client().get(engine.url("/v1/models")).send().await.unwrap().status().as_u16() };
    let upstream = async {
        let (mut first, _) = listener.accept().await.unwrap();
        assert!(first.read(&mut [0; 4096]).await.unwrap() > 0);
        first.write_all(ANSWER).await.unwrap();
        // The second request meets its end here, once the third one waits for its connection.
        assert!(first.read(&mut [0; 4096]).await.unwrap() > 0);
        eventually("two requests are under way", async || engine.engine.traffic().in_flight() == 2).await;
        drop(first);
        loop {
            let (mut next, _) = listener.accept().await.unwrap();
            while next.read(&mut [0; 4096]).await.unwrap() > 0 {
                next.write_all(ANSWER).await.unwrap();
            }
        }
    };
    let asks = async {
        assert_eq!(ask().await, 200);
        assert_eq!(tokio::join!(ask(), ask()), (200, 200));
    };
    tokio::select! {
        () = asks => {}
        () = upstream => unreachable!("it answers for ever"),
    }
}

/// Who wants no retries still gets his request served.
#[tokio::test]
async fn without_any_time_for_retries_the_first_attempt_is_made() {
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.retry.total = Duration::ZERO);
    let response = client().post(engine.url("/v1/messages")).json(&message(false)).send().await.unwrap();
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
}

/// The budget bounds replays whatever happens: a storm is not amplified.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u6_replays_end_with_the_budget() {
    let upstream = Upstream::plain(Plan::by(|_| Fault::ResetOnReuse)).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.retry.budget = 0.0;
        c.retry.budget_floor = 1;
    });
    let (mut told, began) = (0, std::time::Instant::now());
    for _ in 0..100 {
        let response = client().post(engine.url("/v1/messages")).json(&message(false)).send().await.unwrap();
        told += u64::from(response.headers().contains_key("x-leeward-error"));
        response.bytes().await.unwrap();
    }
    let stats = engine.stats().await;
    // One a second over the ten seconds that a deposit lives and those that this took, and not a reset retried beyond that.
    let most = 11 + began.elapsed().as_secs();
    assert!(stats["replays"].as_u64().unwrap() <= most && told > 20, "at most {most}; {told} told, {stats}");
}

/// U9 and U14 without an end of the upstream's own: bytes and silence reach the client as they are.
#[tokio::test]
async fn silence_is_failed() {
    for fault in [Fault::HeadersThenSilence, Fault::StallAfter(Mark::Events(2)), Fault::NeverEnds] {
        let upstream = Upstream::plain(Plan::always(fault.clone())).unwrap();
        let engine = TestEngine::tuned(&upstream, |c| c.stream.commit_wait = Duration::from_millis(20));
        let mut response = client().post(engine.url("/v1/messages")).json(&message(true)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{fault:?}");
        if fault != Fault::HeadersThenSilence {
            assert!(response.chunk().await.unwrap().is_some(), "{fault:?}");
        }
        assert_eq!(engine.stats().await["in_flight"], 1, "{fault:?}");
        drop(response);
        upstream.log().wait_for(|r| r.open() == 0, LIMIT).await.unwrap();
    }
}

/// Fifty agents at once against cold sockets: few dials at a time, no failure, and sockets are shared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_up_burst_shares_few_connections() {
    let upstream = Upstream::tls(Plan::seeded(7, 40, vec![Fault::ResetAtAccept, Fault::ResetInTls])).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.retry.total = LIMIT);
    let mut agents = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let url = engine.url("/v1/messages");
        agents.spawn(async move {
            let client = client();
            for stream in [true, false, true, false] {
                let response = client.post(&url).json(&message(stream)).send().await.unwrap();
                assert_eq!(response.status(), 200);
                response.bytes().await.unwrap();
            }
        });
    }
    agents.join_all().await;
    let stats = engine.stats().await;
    assert_eq!((&stats["requests"], &stats["outcomes"]["failed"]), (&200.into(), &0.into()), "{stats}");
    assert!(stats["retried"]["tls"].as_u64().unwrap() > 0, "{stats}");
    assert!(upstream.log().record().connections.len() <= 64 * 2, "one pool, not one connection a request");
}

/// U7: an inference of unknown fate is sent again and counted as such, unless the config or the client says no.
#[tokio::test]
async fn u7_an_inference_of_unknown_fate_is_sent_again_unless_somebody_objects() {
    for (fate, retries, replayed) in
        [(UnknownFate::Replay, "0", true), (UnknownFate::Replay, "1", false), (UnknownFate::Pass, "0", false)]
    {
        let upstream = Upstream::plain(Plan::times(1, Fault::ResetBeforeHeaders)).unwrap();
        let engine = TestEngine::tuned(&upstream, |c| c.retry.unknown_fate = fate);
        let request = client().post(engine.url("/v1/messages")).header("x-stainless-retry-count", retries);
        let response = request.json(&message(true)).send().await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(status, if replayed { 200 } else { 502 }, "{fate:?} {retries}");
        let stats = engine.stats().await;
        let counted = u64::from(replayed);
        assert_eq!((&stats["replays"], &stats["replays_unknown"]), (&counted.into(), &counted.into()), "{fate:?} {retries}");
    }
}

/// U12: what the API declines for a moment is waited out where the user wants it, and only then.
#[tokio::test]
async fn u12_a_short_refusal_is_waited_out_where_it_is_wanted() {
    let refusal = |after: &str| Fault::Status(529, vec![("retry-after".into(), after.into())]);
    for (server_errors, fault, wanted) in [
        (true, refusal("0"), 200),
        (false, refusal("0"), 529),
        (true, refusal("60"), 529),
        (true, Fault::Status(529, vec![]), 529),
        (true, Fault::Status(429, vec![("retry-after".into(), "0".into())]), 429),
        (true, Fault::Status(503, vec![("retry-after".into(), "0".into()), ("x-should-retry".into(), "false".into())]), 503),
    ] {
        let upstream = Upstream::plain(Plan::times(1, fault.clone())).unwrap();
        let engine = TestEngine::tuned(&upstream, |c| c.retry.server_errors = server_errors);
        let response = client().post(engine.url("/v1/messages")).json(&message(true)).send().await.unwrap();
        assert_eq!(response.status(), wanted, "{fault:?} server_errors: {server_errors}");
        assert_eq!(
            engine.stats().await["retried"]["declined"],
            u64::from(wanted == 200),
            "{fault:?} server_errors: {server_errors}"
        );
    }
}

/// Claude Code says of each of its tries that it is the first: what it sends again by itself is not sent again on top of that.
#[tokio::test]
async fn u7_an_agents_own_retry_is_known_by_what_it_says() {
    let upstream = Upstream::plain(Plan::always(Fault::ResetBeforeHeaders)).unwrap();
    let engine = TestEngine::start(&upstream);
    let long = "x".repeat(100_000);
    let ask = async |session: &str, text: &str| {
        let before = upstream.log().record().requests.len();
        let mut body = message(true);
        body["messages"][0]["content"] = text.into();
        let request = client().post(engine.url("/v1/messages")).header("x-claude-code-session-id", session.to_owned());
        let response = request.header("x-stainless-retry-count", "0").json(&body).send().await.unwrap();
        assert_eq!(response.status(), 502);
        upstream.log().record().requests.len() - before
    };
    assert_eq!(ask("one", &long).await, 3, "nobody knows it yet");
    for _ in 0..10 {
        assert_eq!(ask("one", &long).await, 1, "the agent's own retry");
    }
    assert_eq!(ask("two", &long).await, 3, "another session");
    assert_eq!(ask("one", "short").await, 3, "another question");
    // What very probably did not run is repaired for a retry as well.
    for fault in [Fault::None, Fault::ResetOnReuse] {
        upstream.follow(Plan::times(1, fault));
        assert_eq!(ask_once(&engine, &long).await, 200);
    }
    assert_eq!(engine.stats().await["retried"]["reused-reset"], 1);
}

async fn ask_once(engine: &TestEngine, text: &str) -> u16 {
    let mut body = message(true);
    body["messages"][0]["content"] = text.into();
    let request = client().post(engine.url("/v1/messages")).header("x-claude-code-session-id", "one");
    let response = request.json(&body).send().await.unwrap();
    let status = response.status().as_u16();
    // A connection is kept for the next request once the response was read.
    response.bytes().await.unwrap();
    status
}

/// U7: the API has worked on it for longer than a closed connection goes unnoticed, so it may have run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u7_a_late_reset_of_a_kept_connection_is_of_unknown_fate() {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    for (fate, retries, status) in
        [(UnknownFate::Replay, "0", 200), (UnknownFate::Replay, "1", 502), (UnknownFate::Pass, "0", 502)]
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tune = |c: &mut leeward::config::Config| {
            c.upstream = url.parse().unwrap();
            c.retry.unknown_fate = fate;
        };
        let engine = TestEngine::with(None, tune, TestHooks::default());
        let upstream = async {
            let (mut first, _) = listener.accept().await.unwrap();
            assert!(first.read(&mut [0; 4096]).await.unwrap() > 0);
            first.write_all(ANSWER).await.unwrap();
            assert!(first.read(&mut [0; 4096]).await.unwrap() > 0);
            // The pause is the subject.
            tokio::time::sleep(Duration::from_millis(1300)).await;
            socket2::SockRef::from(&first).set_linger(Some(Duration::ZERO)).unwrap();
            drop(first);
            let (mut second, _) = listener.accept().await.unwrap();
            assert!(second.read(&mut [0; 4096]).await.unwrap() > 0);
            second.write_all(ANSWER).await.unwrap();
            std::future::pending::<()>().await;
        };
        let asks = async {
            let ask = |n: u32| {
                let request = client().post(engine.url("/v1/messages")).header("x-stainless-retry-count", retries);
                request.json(&serde_json::json!({ "model": "m", "n": n })).send()
            };
            assert_eq!(ask(1).await.unwrap().text().await.unwrap(), "ok");
            ask(2).await.unwrap().status().as_u16()
        };
        let got = tokio::select! {
            got = asks => got,
            () = upstream => unreachable!("it waits for ever"),
        };
        let (stats, again) = (engine.stats().await, u64::from(status == 200));
        assert_eq!(got, status, "{fate:?} {retries}: {stats}");
        assert_eq!((&stats["retried"]["late-reset"], &stats["replays_unknown"]), (&again.into(), &again.into()), "{stats}");
    }
}
