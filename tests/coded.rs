//! Compressed streams: the same repairs as for plain ones, in every coding, while their bytes pass unchanged.

use crate::support::{TestEngine, client, eventually, message};
use bytes::Bytes;
use leeward::config::StreamMode;
use scripted::{
    Fault, Mark, Plan, Upstream,
    coding::{CODINGS, chunks, decode},
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const DIALECTS: [&str; 4] =
    ["/v1/messages?", "/v1/chat/completions?", "/v1/responses?", "/v1beta/models/g:streamGenerateContent?alt=sse&"];

async fn ask(url: String, body: &serde_json::Value) -> (reqwest::header::HeaderMap, Result<Bytes, reqwest::Error>) {
    let response = client().post(url).json(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    (response.headers().clone(), response.bytes().await)
}

async fn right(upstream: &Upstream, path: &str, body: &serde_json::Value) -> Bytes {
    ask(upstream.url().join(path).unwrap().into(), body).await.1.unwrap()
}

/// Undisturbed, every byte is the upstream's; cut before its content, nothing shows; both politely and not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_cut_before_its_content_is_repaired_in_every_coding_and_dialect() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let mut cuts = 0;
    for (coding, says) in CODINGS {
        for dialect in DIALECTS {
            let path = format!("{dialect}coding={coding}");
            let wanted = right(&upstream, &path, &message(true)).await;
            let (headers, got) = ask(engine.url(&path), &message(true)).await;
            assert_eq!((&headers["content-encoding"], got.unwrap()), (&says.parse().unwrap(), wanted.clone()), "{path}");
            for mark in [Mark::Bytes(0), Mark::Bytes(1), Mark::Bytes(9)] {
                for fault in [Fault::TruncateAfter(mark), Fault::ResetAfter(mark)] {
                    upstream.follow(Plan::times(1, fault.clone()));
                    let (_, got) = ask(engine.url(&path), &message(true)).await;
                    assert_eq!(got.ok(), Some(wanted.clone()), "{path} {fault:?}");
                    cuts += 1;
                }
            }
        }
    }
    let stats = engine.stats().await;
    assert_eq!(stats["retried"]["cut-before-content"], cuts, "{stats}");
}

/// Cut within its content a stream is seen to be cut: what came passes, and the connection breaks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_cut_within_its_content_is_told_in_every_coding_and_dialect() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    for (coding, _) in CODINGS {
        for dialect in DIALECTS {
            let path = format!("{dialect}coding={coding}");
            upstream.follow(Plan::times(1, Fault::TruncateAfter(Mark::Events(9))));
            let (_, got) = ask(engine.url(&path), &message(true)).await;
            assert!(got.is_err(), "{path}: looked whole");
        }
    }
    let stats = engine.stats().await;
    assert_eq!((&stats["replays"], &stats["outcomes"]["cut"]), (&0.into(), &20.into()), "{stats}");
}

/// Cut after its last event, but before what ends the coding: the client reads a whole stream in its coding.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_cut_after_its_last_event_ends_cleanly_in_every_coding_and_dialect() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    for (coding, _) in CODINGS {
        for dialect in DIALECTS {
            let path = format!("{dialect}coding={coding}");
            let whole = right(&upstream, &path, &message(true)).await;
            let text = decode(coding, &whole).unwrap();
            let text_of = std::str::from_utf8(&text).unwrap().replace("\r\n", "\n");
            let events = text_of.matches("\n\n").count();
            upstream.follow(Plan::times(1, Fault::TruncateAfter(Mark::Events(events as u64))));
            let (_, got) = ask(engine.url(&path), &message(true)).await;
            let got = got.unwrap_or_else(|e| panic!("{path}: {e}"));
            assert_eq!(decode(coding, &got).unwrap(), text, "{path}");
        }
    }
    let stats = engine.stats().await;
    assert_eq!((&stats["replays"], &stats["outcomes"]["answered"]), (&0.into(), &20.into()), "{stats}");
}

/// What no decoder is needed for, or none is there for: every byte as it comes, with its label.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_compressed_answers_pass_untouched() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    for (coding, says) in CODINGS {
        for (path, body) in [("/v1/messages?", message(false)), ("/sse/5?", message(true))] {
            let path = format!("{path}coding={coding}");
            let wanted = right(&upstream, &path, &body).await;
            let (headers, got) = ask(engine.url(&path), &body).await;
            assert_eq!((&headers["content-encoding"], got.unwrap()), (&says.parse().unwrap(), wanted), "{path}");
        }
    }
}

/// An upstream that answers each request with the next of some bodies, chunked and politely ended.
async fn by_hand(label: &'static str, bodies: Vec<Vec<u8>>) -> (reqwest::Url, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let serving = tokio::spawn(async move {
        let mut open = Vec::new();
        for body in bodies {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{label}\r\ntransfer-encoding: chunked\r\n\r\n");
            let end = if body.is_empty() { "" } else { "\r\n0\r\n\r\n" };
            let bytes = [head.as_bytes(), format!("{:x}\r\n", body.len()).as_bytes(), &body, end.as_bytes()].concat();
            stream.write_all(&bytes).await.unwrap();
            open.push(stream);
        }
    });
    (url, serving)
}

fn started() -> [&'static [u8]; 3] {
    [
        b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n",
        b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"a\"}}\n\n",
        b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ]
}

/// A polite end of the framing before the content is a cut: within the coding, or without the dialect's last event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polite_end_before_the_content_is_a_cut() {
    for (label, coding) in [
        ("content-type: text/event-stream\r\ncontent-encoding: gzip", "gzip"),
        ("content-type: application/json\r\ncontent-encoding: br", "br"),
        ("content-type: text/event-stream\r\ncontent-encoding: zstd", "zstd"),
    ] {
        let whole = chunks(coding, &started()).unwrap().concat();
        let flushed = chunks(coding, &started()[..1]).unwrap();
        let bodies = vec![flushed[0].clone(), flushed.concat(), flushed[0][..flushed[0].len() - 5].to_vec(), whole.clone()];
        let (url, serving) = by_hand(label, bodies).await;
        let engine = TestEngine::with(
            None,
            |c| {
                c.upstream = url;
                c.retry.replays = 5;
            },
            leeward::supervisor::TestHooks::default(),
        );
        let (_, got) = ask(engine.url("/v1/messages"), &message(true)).await;
        assert_eq!(got.unwrap(), whole, "{label}");
        assert_eq!(engine.stats().await["retried"]["cut-before-content"], 3, "{label}");
        serving.await.unwrap();
    }
}

/// Bombs, rubbish, unknown codings and several of them: as they come, in both modes, and the engine goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_seen_through_passes_as_it_comes() {
    let bomb = chunks("gzip", &[&vec![0; 16 << 20]]).unwrap().concat();
    let plain = started().concat();
    for mode in [StreamMode::Pass, StreamMode::Hold] {
        for (label, body) in [
            ("content-type: text/event-stream\r\ncontent-encoding: gzip", &bomb),
            ("content-type: application/json\r\ncontent-encoding: gzip", &bomb),
            ("content-type: text/event-stream\r\ncontent-encoding: gzip", &plain),
            ("content-type: text/event-stream\r\ncontent-encoding: zstd", &plain),
            ("content-type: text/event-stream\r\ncontent-encoding: compress", &plain),
            ("content-type: text/event-stream\r\ncontent-encoding: gzip, br", &plain),
        ] {
            let (url, serving) = by_hand(label, vec![body.clone()]).await;
            let engine = TestEngine::with(
                None,
                |c| {
                    c.upstream = url;
                    c.stream.mode = mode;
                },
                leeward::supervisor::TestHooks::default(),
            );
            let (_, got) = ask(engine.url("/v1/messages"), &message(true)).await;
            assert!(got.unwrap() == *body, "{label} {mode:?}");
            assert_eq!(engine.stats().await["replays"], 0, "{label} {mode:?}");
            serving.await.unwrap();
        }
    }
}

/// Answers one request with these bytes, once all of it is there.
async fn answering(whole: Vec<u8>) -> (reqwest::Url, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut request, body) = (Vec::new(), message(false).to_string());
        let is_whole = |request: &[u8]| match request.starts_with(b"POST") {
            true => request.ends_with(body.as_bytes()),
            false => request.ends_with(b"\r\n\r\n"),
        };
        while !is_whole(&request) {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        }
        stream.write_all(&whole).await.unwrap();
    });
    (url, serving)
}

/// A frame of zstd with its checksum, as its descriptor says.
fn checked_frame(text: &[u8]) -> Vec<u8> {
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
    let mut frame = [0u8; 1024];
    let length = context.compress2(&mut frame[..], text).unwrap();
    assert_eq!(frame[4] & 4, 4);
    frame[..length].to_vec()
}

/// What has a coding and nothing in it, and what is coded in unusual ways: head and bytes as they come, asked once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coding_without_a_body_and_unusual_codings_pass_unchanged() {
    let json: &[u8] = br#"{"type":"message","content":[]}"#;
    let member = |text: &[u8]| chunks("gzip", &[text]).unwrap().concat();
    let members = [member(&json[..9]), member(&json[9..])].concat();
    let (frame, frames) = (checked_frame(json), [checked_frame(&json[..9]), checked_frame(&json[9..])].concat());
    let unchecked = chunks("zstd", &[json]).unwrap().concat();
    // Method, status, coding, what else the head says of the body, and the body.
    let table: [(&str, u16, &str, Option<&str>, &[u8]); 14] = [
        ("HEAD", 200, "gzip", Some("content-length: 4711"), b""),
        ("HEAD", 200, "br", Some("transfer-encoding: chunked"), b""),
        ("HEAD", 200, "zstd", None, b""),
        ("GET", 304, "gzip", None, b""),
        ("GET", 304, "gzip", Some("content-length: 4711"), b""),
        ("GET", 204, "gzip", None, b""),
        ("GET", 200, "gzip", Some("content-length: 0"), b""),
        ("POST", 200, "zstd", Some("content-length: 0"), b""),
        ("POST", 200, "gzip", None, &members),
        ("POST", 200, "zstd", None, &frame),
        ("POST", 200, "zstd", None, &frames),
        ("POST", 200, "zstd", None, &unchecked),
        ("POST", 200, "gzip, br", None, &members),
        ("POST", 200, "x-of-tomorrow", None, json),
    ];
    for mode in [StreamMode::Pass, StreamMode::Hold] {
        for (method, status, coding, more, body) in table {
            let case = format!("{method} {status} {coding} {more:?} {} bytes {mode:?}", body.len());
            let length = format!("content-length: {}", body.len());
            let framing = if body.is_empty() { more.unwrap_or("x-none: 1") } else { &length };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\netag: \"1\"\r\ncontent-encoding: {coding}\r\n{framing}\r\n\r\n"
            );
            let (url, serving) = answering([head.as_bytes(), body].concat()).await;
            let engine = TestEngine::with(
                None,
                |c| {
                    c.upstream = url;
                    c.stream.mode = mode;
                },
                leeward::supervisor::TestHooks::default(),
            );
            let request = client().request(method.parse().unwrap(), engine.url("/v1/messages"));
            let request = if method == "POST" { request.json(&message(false)) } else { request };
            let response = request.send().await.unwrap_or_else(|e| panic!("{case}: {e}"));
            let said = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!((response.status().as_u16(), said("content-encoding").as_deref()), (status, Some(coding)), "{case}");
            // The server library gives a 304 none (RFC 9110 section 8.6 lets it).
            if let Some(length) = framing.strip_prefix("content-length: ").filter(|_| status != 304) {
                assert_eq!(said("content-length").as_deref(), Some(length), "{case}");
            }
            assert_eq!(response.bytes().await.unwrap_or_else(|e| panic!("{case}: {e}")), body, "{case}");
            assert_eq!(engine.stats().await["replays"], 0, "{case}");
            serving.await.unwrap();
        }
    }
}

/// A stream of several members, and one of several frames: each event is seen, so a cut before the content is repaired.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_several_members_or_frames_is_repaired() {
    for (label, coding) in [
        ("content-type: text/event-stream\r\ncontent-encoding: gzip", "gzip"),
        ("content-type: text/event-stream\r\ncontent-encoding: zstd", "zstd"),
    ] {
        let parts: Vec<Vec<u8>> = started().iter().map(|event| chunks(coding, &[event]).unwrap().concat()).collect();
        let whole = parts.concat();
        let bodies = vec![parts[0].clone(), [&parts[0][..], &parts[1][..4]].concat(), whole.clone()];
        let (url, serving) = by_hand(label, bodies).await;
        let engine = TestEngine::with(
            None,
            |c| {
                c.upstream = url;
                c.retry.replays = 5;
            },
            leeward::supervisor::TestHooks::default(),
        );
        let (_, got) = ask(engine.url("/v1/messages"), &message(true)).await;
        assert_eq!(got.unwrap(), whole, "{label}");
        assert_eq!(engine.stats().await["retried"]["cut-before-content"], 2, "{label}");
        serving.await.unwrap();
    }
}

/// A compressed stream takes no pings: it begins as it is when its time is over, and its silence is a condition all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_stream_is_never_pinged_and_its_silence_is_seen() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.stream.ping = true;
        c.stream.commit_wait = Duration::from_millis(50);
        c.stream.ping_after = Duration::from_millis(20);
        c.stream.hold_ping = Duration::from_millis(20);
        c.stream.stall_alarm = Duration::from_millis(300);
    });
    for (coding, _) in CODINGS {
        let path = format!("/v1/messages?coding={coding}");

        upstream.follow(Plan::none());
        let wanted = right(&upstream, &path, &message(true)).await;
        upstream.follow(Plan::times(1, Fault::StallAfter(Mark::Events(1))));
        let mut response = client().post(engine.url(&path)).json(&message(true)).send().await.unwrap();
        let first = response.chunk().await.unwrap().unwrap();
        assert!(wanted.starts_with(&first), "{coding}");
        eventually("the silence is a condition", async || engine.health().await.to_string().contains("stream-silent")).await;
        drop(response);
        eventually("it is over", async || !engine.health().await.to_string().contains("stream-silent")).await;
    }
}
