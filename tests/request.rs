//! The request path on good days: every byte passes, in order, unbuffered, and Leeward adds only what it says.

use crate::support::{LIMIT, TestEngine, client, eventually, message, raw};
use scripted::{Fault, Plan, Upstream};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn a_message_passes_and_says_how() {
    for upstream in [Upstream::plain(Plan::none()).unwrap(), Upstream::tls(Plan::none()).unwrap()] {
        let engine = TestEngine::start(&upstream);
        for connection in ["fresh", "reused"] {
            let response = client().post(engine.url("/v1/messages?beta=true")).json(&message(false)).send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["x-leeward-attempts"], "1");
            assert_eq!(response.headers()["x-leeward-connection"], connection);
            assert!(response.headers()["server-timing"].to_str().unwrap().starts_with("leeward;dur="));
            let body: serde_json::Value = response.json().await.unwrap();
            assert_eq!(body["type"], "message");
        }
        assert_eq!(upstream.log().record().connections.len(), 1, "the second request rides on the first one's connection");
    }
}

#[tokio::test]
async fn header_order_and_spelling_and_body_bytes_survive() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let body = "{\"odd\":  [1,2 , 3],\t\"é\": null}\r\n";
    let request = format!(
        "POST /echo?q=%7B1%7D&beta=true HTTP/1.1\r\nHost: {}\r\nAnthropic-Beta: one\r\nX-UPPER-Case: A\r\nanthropic-unknown-2099: yes\r\nauthorization: Bearer test-value\r\nzZ: 1\r\nContent-Length: {}\r\nAa: last\r\nConnection: keep-alive, x-hop\r\nX-Hop: gone\r\nExpect: 100-continue\r\n\r\n",
        engine.address,
        body.len()
    );
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    stream.write_all(format!("{request}{body}").as_bytes()).await.unwrap();
    assert_eq!(raw::read_response(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n", "Expect is answered");
    let answer = raw::read_response(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let record = upstream.log().record();
    let seen = &record.requests[0];
    assert_eq!(seen.head.target, "/echo?q=%7B1%7D&beta=true");
    let fields: Vec<(&str, &str)> = seen.head.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let (last, fields) = fields.split_last().unwrap();
    assert!(last.0 == "via" && last.1.starts_with("1.1 leeward-"), "the one field that a plain upstream gets more: {last:?}");
    let length = body.len().to_string();
    assert_eq!(
        fields,
        [
            ("Host", upstream.address().to_string().as_str()),
            ("Anthropic-Beta", "one"),
            ("X-UPPER-Case", "A"),
            ("anthropic-unknown-2099", "yes"),
            ("authorization", "Bearer test-value"),
            ("zZ", "1"),
            ("Content-Length", length.as_str()),
            ("Aa", "last"),
        ]
    );
    assert_eq!(seen.body.kept.as_deref(), Some(body.as_bytes()));
}

#[tokio::test]
async fn bodies_of_every_size_and_framing_arrive_whole() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.limits.replay_body_bytes = 256 << 10);
    for size in [0usize, 1, 1023, 65_536, 262_144, 262_145, 3 << 20] {
        let body: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
        let whole = client().post(engine.url("/echo")).body(body.clone()).send().await.unwrap();
        assert_eq!(whole.status(), 200, "{size}");
        let whole: serde_json::Value = whole.json().await.unwrap();
        let pieces: Vec<Result<_, std::io::Error>> = body.chunks(10_007).map(|c| Ok(c.to_vec())).collect();
        let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let chunked: serde_json::Value =
            client().post(engine.url("/echo")).body(chunked).send().await.unwrap().json().await.unwrap();
        assert_eq!(whole["body"]["length"], size, "{whole}");
        assert_eq!(whole["body"], chunked["body"], "{size}");
    }
    eventually("held bytes are given back", async || engine.stats().await["in_flight"] == 0).await;
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let mut response = client().get(engine.url("/sse/3?delay_ms=150")).send().await.unwrap();
    let mut arrivals = Vec::new();
    while let Some(piece) = response.chunk().await.unwrap() {
        arrivals.push((std::time::Instant::now(), piece));
    }
    // A busy machine may join two of them; buffered, they would come as one.
    assert!(arrivals.len() >= 2, "buffered instead of streamed: {} pieces", arrivals.len());
    let spread = arrivals.last().unwrap().0 - arrivals[0].0;
    assert!(spread >= Duration::from_millis(100), "all came at once, within {spread:?}");
}

#[tokio::test]
async fn head_and_trailers_and_named_upstreams_pass() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let second = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.upstreams.insert("second".into(), format!("{}base/", second.url()).parse().unwrap());
    });
    let head = client().head(engine.url("/api/hello")).send().await.unwrap();
    assert_eq!(head.status(), 200);
    let stream = client().post(engine.url("/@second/v1/messages?x=1")).json(&message(true)).send().await.unwrap();
    assert_eq!(stream.status(), 404, "the upstream knows nothing below /base");
    assert_eq!(stream.headers()["x-leeward-connection"], "fresh", "it was asked all the same");
    assert_eq!(second.log().record().requests[0].head.target, "/base/v1/messages?x=1");
    let stream = client().post(engine.url("/v1/messages")).json(&message(true)).send().await.unwrap();
    assert!(stream.text().await.unwrap().contains("message_stop"));
    let unknown = client().post(engine.url("/@nobody/v1/messages")).json(&message(true)).send().await.unwrap();
    assert_eq!((unknown.status().as_u16(), unknown.headers()["x-leeward-error"].to_str().unwrap()), (400, "unknown-upstream"));

    let said = "POST /echo HTTP/1.1\r\nHost: HOST\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n";
    let answer = raw::talk(engine.address, said.replace("HOST", &engine.address.to_string()).as_bytes(), LIMIT).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let record = upstream.log().record();
    // hyper writes trailer names in lower case; header names keep their spelling.
    let echo = record.requests.iter().find(|r| r.head.path() == "/echo").unwrap();
    let body = &echo.body;
    assert_eq!(
        (body.kept.as_deref(), body.trailers.as_slice()),
        (Some(&b"hello"[..]), &[("x-sum".to_owned(), "42".to_owned())][..])
    );
}

/// U15: not a failure, and the upstream is not left working.
#[tokio::test]
async fn a_client_that_leaves_cancels_upstream() {
    for fault in [Fault::StallBeforeHeaders, Fault::HeadersThenSilence] {
        let upstream = Upstream::plain(Plan::always(fault.clone())).unwrap();
        let engine = TestEngine::start(&upstream);
        let mut stream = TcpStream::connect(engine.address).await.unwrap();
        let body = message(true).to_string();
        let request =
            format!("POST /v1/messages HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{body}", engine.address, body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        upstream.log().wait_for(|r| !r.requests.is_empty(), LIMIT).await.unwrap();
        drop(stream);
        upstream.log().wait_for(|r| r.open() == 0, LIMIT).await.unwrap_or_else(|r| panic!("{fault:?}: still open: {r:?}"));
        eventually("the request is counted out", async || engine.stats().await["in_flight"] == 0).await;
        let stats = engine.stats().await;
        assert_eq!((&stats["outcomes"]["client-gone"], &stats["outcomes"]["failed"]), (&1.into(), &0.into()), "{fault:?}");
    }
}

/// L8, and the trap of hyper's 30 s `header_read_timeout`: a connection that is idle outlives every clock but its own.
#[tokio::test]
async fn idle_connections_stay_and_half_heads_are_cut() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.client.head = Duration::from_millis(200);
        c.client.idle = Duration::from_secs(60);
    });
    let request = format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", engine.address);
    let mut idle = TcpStream::connect(engine.address).await.unwrap();
    idle.write_all(request.as_bytes()).await.unwrap();
    assert!(raw::read_response(&mut idle).await.contains("200 OK"));
    let slow = raw::talk(engine.address, b"GET /livez HTTP/1.1\r\nhos", LIMIT).await;
    assert!(slow.starts_with("HTTP/1.1 408") && slow.contains("head-too-slow"), "{slow}");
    // The head's clock has run out on the slow one by now; the idle one is still good.
    idle.write_all(request.as_bytes()).await.unwrap();
    assert!(raw::read_response(&mut idle).await.contains("200 OK"));
}

/// The clock of an idle connection counts from the end of the last answer, however long that took.
#[tokio::test]
async fn a_long_answer_leaves_the_idle_clock_whole() {
    const IDLE: Duration = Duration::from_secs(1);
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.client.idle = IDLE);
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    // Silence from the upstream until the agent's own deadline: a response that takes nearly two of the clock's turns.
    upstream.follow(Plan::times(1, Fault::StallBeforeHeaders));
    let request = format!("GET /v1/models HTTP/1.1\r\nhost: {}\r\nx-stainless-timeout: 1.8\r\n\r\n", engine.address);
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(raw::read_response(&mut stream).await.contains("response-timeout"));
    let answered = std::time::Instant::now();
    let mut byte = [0u8; 1];
    let closed = tokio::time::timeout(LIMIT, stream.read(&mut byte)).await.expect("closed within the limit");
    assert_eq!(closed.expect("a FIN, not an RST"), 0);
    // The response was read a moment after it was written.
    assert!(answered.elapsed() > IDLE / 2, "closed {:?} after the answer", answered.elapsed());
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_own_clock() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.client.idle = Duration::from_millis(150));
    let mut idle = TcpStream::connect(engine.address).await.unwrap();
    idle.write_all(format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", engine.address).as_bytes()).await.unwrap();
    assert!(raw::read_response(&mut idle).await.contains("200 OK"));
    let mut byte = [0u8; 1];
    let closed = tokio::time::timeout(LIMIT, idle.read(&mut byte)).await.expect("closed within the limit");
    assert_eq!(closed.expect("a FIN, not an RST"), 0);
}

/// A connection that rests gives its buffers back and is as good as before, also in the middle of slow reading.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_rests_goes_on() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.client.buffer_idle = Duration::from_millis(20));
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    let body = message(false).to_string();
    let request =
        format!("POST /v1/messages HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{body}", engine.address, body.len());
    for pause in [0, 10, 45, 90, 30, 0, 60] {
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(raw::read_response(&mut stream).await.starts_with("HTTP/1.1 200"), "after {pause} ms");
        // The pause is the subject: it lets the connection rest once, twice, or not at all.
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    assert_eq!(engine.health().await["listener"]["accepted"], 2, "one connection all along, and this one");
    // 8 MiB that the client reads later than any rest: none of it is lost.
    let get = format!("GET /bytes/8388608 HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", engine.address);
    stream.write_all(get.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let all = raw::read_all(&mut stream, LIMIT).await;
    assert!(all.len() > 8_388_608, "{}", all.len());
}

/// What a client says to its proxy is for Leeward, and no business of the API's.
#[tokio::test]
async fn a_login_for_a_proxy_goes_no_further() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let request = client().post(engine.url("/v1/messages")).header("proxy-authorization", "Basic bm8=").json(&message(false));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(upstream.log().record().requests[0].head.header("proxy-authorization"), None);
}
