//! How messages are delimited and labelled: what passes whole on every path, what is refused with words, what is ignored.

use crate::support::{LIMIT, TestEngine, client, message, raw};
use leeward::{config::StreamMode, supervisor::TestHooks};
use scripted::{Plan, Upstream};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// An upstream that answers its connections with these bytes, one after the other, and closes each.
async fn answering(
    engine: impl FnOnce(&mut leeward::config::Config),
    answers: Vec<String>,
) -> (TestEngine, tokio::task::JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let tune = |c: &mut leeward::config::Config| {
        c.upstream = url.parse().unwrap();
        engine(c);
    };
    let started = TestEngine::with(None, tune, TestHooks::default());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 65536]).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.ok();
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.ok();
        }
    });
    (started, tasks)
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn asks(engine: &TestEngine, path: &str, more: &str) -> Vec<u8> {
    let body = message(true).to_string();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{more}", engine.address);
    format!("{head}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n";

/// On every way a response takes: as it comes, held back until its content, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers_pass_on_every_path() {
    let events =
        ["event: message_start\ndata: {}\n\n", "event: content_block_delta\ndata: {}\n\n", "event: message_stop\ndata: {}\n\n"];
    let stream = format!(
        "{CHUNKED}content-type: text/event-stream\r\ntrailer: x-sum\r\n\r\n{}0\r\nx-sum: 42\r\n\r\n",
        events.map(chunk).concat()
    );
    let json = format!("{CHUNKED}content-type: application/json\r\ntrailer: x-sum\r\n\r\n{}0\r\nx-sum: 42\r\n\r\n", chunk("{}"));
    let cut = format!("{CHUNKED}content-type: text/event-stream\r\n\r\n{}", chunk(events[0]));
    for (path, mode, answers) in [
        ("/v1/files", StreamMode::Pass, vec![json.clone()]),
        ("/v1/messages/count_tokens", StreamMode::Pass, vec![json.clone()]),
        ("/v1/messages/count_tokens", StreamMode::Hold, vec![json.clone()]),
        ("/v1/messages", StreamMode::Pass, vec![stream.clone()]),
        ("/v1/messages", StreamMode::Hold, vec![stream.clone()]),
        ("/v1/messages", StreamMode::Pass, vec![cut.clone(), stream.clone()]),
        ("/v1/messages", StreamMode::Hold, vec![cut, stream]),
    ] {
        let (engine, _upstream) = answering(|c| c.stream.mode = mode, answers.clone()).await;
        let got = raw::talk(engine.address, &asks(&engine, path, "te: trailers\r\n"), LIMIT).await;
        assert!(
            got.starts_with("HTTP/1.1 200") && got.to_lowercase().contains("x-sum: 42\r\n"),
            "{path} {mode:?} {}: {got}",
            answers.len()
        );
        assert!(got.to_lowercase().contains("transfer-encoding: chunked"), "{path} {mode:?}: {got}");
    }
}

/// A coding that Leeward cannot undo must not be stripped: the client would take its bytes for the content.
#[tokio::test]
async fn an_unknown_transfer_coding_is_refused() {
    for coding in ["gzip, chunked", "gzip", "chunked, chunked", "x"] {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: {coding}\r\n\r\n{}0\r\n\r\n", chunk("{}"));
        let (engine, _upstream) = answering(|_| {}, vec![answer]).await;
        let response = client().get(engine.url("/v1/models")).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["x-leeward-error"]),
            (502, &"bad-response".parse().unwrap()),
            "{coding}"
        );
        let text = response.text().await.unwrap();
        assert!(text.contains("transfer coding"), "{coding}: {text}");
    }
    // Twice in a request is no better.
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let said = format!("POST /echo HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", engine.address);
    let got = raw::talk(engine.address, said.as_bytes(), LIMIT).await;
    assert!(got.starts_with("HTTP/1.1 501") && got.contains("bad-coding"), "{got}");
}

/// Servers that say `application/json`, or `content-encoding: identity`, of events: the same repairs as for those that say right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_events_is_one_whatever_its_label() {
    let start = chunk("data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n");
    let content = chunk("data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{\"content\":\"calm\"}}]}\n\n");
    let end = chunk("data: [DONE]\n\n");
    for label in ["application/json", "application/json; charset=utf-8", "text/event-stream\r\ncontent-encoding: identity"] {
        for asks_for_stream in [true, false] {
            let head = format!("{CHUNKED}content-type: {label}\r\n\r\n");
            let answers = vec![format!("{head}{start}"), format!("{head}{start}{content}{end}0\r\n\r\n")];
            let (engine, _upstream) = answering(|_| {}, answers).await;
            let body = message(asks_for_stream);
            let response = client().post(engine.url("/v1/chat/completions")).json(&body).send().await.unwrap();
            let text = response.text().await.unwrap();
            assert!(
                text.contains("calm") && text.contains("[DONE]") && text.matches("assistant").count() == 1,
                "{label}: {text}"
            );
            assert_eq!(engine.stats().await["retried"]["cut-before-content"], 1, "{label}");
        }
    }
}

/// What is no stream of events and was asked for as a stream comes as it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_streams_without_being_events_is_not_held_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let engine = TestEngine::with(None, |c| c.upstream = url.parse().unwrap(), TestHooks::default());
    let upstream = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 65536]).await.unwrap() > 0);
        let begun = format!("{CHUNKED}content-type: application/json\r\n\r\n{}", chunk("{\"response\":\"calm\"}\n"));
        stream.write_all(begun.as_bytes()).await.unwrap();
        stream
    };
    let ask = async {
        let asked = client().post(engine.url("/api/chat")).json(&json!({ "model": "m" })).send();
        let mut response = asked.await.unwrap();
        assert_eq!(response.chunk().await.unwrap().as_deref(), Some(&b"{\"response\":\"calm\"}\n"[..]));
    };
    let (_stream, ()): (TcpStream, ()) = tokio::join!(upstream, ask);
}

#[tokio::test]
async fn a_malformed_chunk_is_the_clients_fault() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    for chunks in ["x\r\n", "5\r\nhello!\r\n", "5\nhello"] {
        let said =
            format!("POST /v1/messages HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n{chunks}", engine.address);
        let got = raw::talk(engine.address, said.as_bytes(), LIMIT).await;
        assert!(got.starts_with("HTTP/1.1 400") && got.contains("body-malformed"), "{chunks:?}: {got}");
    }
    assert_eq!(upstream.log().record().requests.len(), 0);
}

/// hyper answers these with an empty 400 that nobody hears of.
#[tokio::test]
async fn a_target_that_is_no_url_is_refused_with_words_and_shown() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.limits.header_bytes = 1 << 20);
    let long = format!("/{}", "a".repeat(65_535));
    for target in ["/v1/models/<x>", "/v1/models/a^b`", "/v1\\models\\<", &long] {
        let said = format!("GET {target} HTTP/1.1\r\nhost: {}\r\n\r\n", engine.address);
        let got = raw::talk(engine.address, said.as_bytes(), LIMIT).await;
        let name = &target[..target.len().min(20)];
        if got.starts_with("HTTP/1.1 404") {
            continue; // it is a URL after all, and the upstream knows nothing there
        }
        assert!(got.starts_with("HTTP/1.1 4") && got.contains("x-leeward-error: "), "{name}: {got}");
        let list = client().get(engine.url("/_leeward/v1/activity")).bearer_auth(engine.token()).send().await.unwrap();
        let shown = list.json::<serde_json::Value>().await.unwrap()["requests"][0].clone();
        assert_eq!((&shown["outcome"], &shown["method"]), (&json!("refused"), &json!("GET")), "{name}: {shown}");
    }
}

/// RFC 9110 section 7.8: who does not want to change protocols goes on.
#[tokio::test]
async fn only_a_websocket_is_refused_and_so_that_codex_goes_on_at_once() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    for (offer, status) in [("h2c", 404), ("TLS/1.2", 404), ("h2,h2c", 404), ("websocket", 426), ("WebSocket", 426)] {
        let said = format!(
            "GET /v1/responses HTTP/1.1\r\nhost: {}\r\nconnection: upgrade, close\r\nupgrade: {offer}\r\n\r\n",
            engine.address
        );
        let got = raw::talk(engine.address, said.as_bytes(), LIMIT).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{offer}: {got}");
        if status == 426 {
            let head = got.to_lowercase();
            assert!(
                head.contains("\r\nupgrade: http/1.1\r\n") && head.contains("connection: close"),
                "RFC 9110 section 15.5.22: {got}"
            );
        }
    }
    assert!(upstream.log().record().requests.iter().all(|r| r.head.header("upgrade").is_none()));
}
