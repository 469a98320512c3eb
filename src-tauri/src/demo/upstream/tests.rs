//! The upstream seen from a raw socket: what it answers, and what each fault looks like to a client.

use super::*;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const LIMIT: Duration = Duration::from_secs(10);
/// How long a silent connection is watched before it counts as silent.
const SILENCE: Duration = Duration::from_millis(150);

/// How a connection looks from the client's side once nothing more comes.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// A complete answer; the connection is still open.
    Whole,
    /// A complete answer, then FIN.
    WholeThenClosed,
    /// A complete answer, then RST.
    WholeThenReset,
    /// RST before any byte.
    Reset,
    /// FIN before any byte.
    Closed,
    /// No byte, and still open.
    Silent,
    /// Some bytes that are no complete answer, then RST.
    CutByReset,
    /// The same, then FIN.
    CutByClose,
    /// The same, and still open.
    CutBySilence,
}

/// Sends a request and reads until the connection looks as promised, or in a way that cannot become so any more.
async fn exchange(socket: &mut TcpStream, request: &str, promised: &Seen) -> (Vec<u8>, Seen) {
    let mut got = Vec::new();
    // A write may fail when the reset is faster; what counts is what the read then tells.
    let _ = socket.write_all(request.as_bytes()).await;
    let end = loop {
        let done = match promised {
            Seen::Whole => is_whole(&got),
            // `NeverEnds` is never silent; this much of it will do.
            _ => got.len() > 4096,
        };
        // Only silence has to be waited for with a short limit; whatever else is promised comes, be the machine ever so busy.
        let limit = match promised {
            Seen::Silent => SILENCE,
            Seen::CutBySilence if !got.is_empty() => SILENCE,
            _ => LIMIT,
        };
        if done {
            break 's';
        }
        match timeout(limit, socket.read_buf(&mut got)).await {
            Err(_) => break 's',
            Ok(Ok(0)) => break 'c',
            Ok(Ok(_)) => {}
            Ok(Err(_)) => break 'r',
        }
    };
    let seen = match (got.is_empty(), is_whole(&got), end) {
        (true, _, 'r') => Seen::Reset,
        (true, _, 'c') => Seen::Closed,
        (true, ..) => Seen::Silent,
        (_, true, 'r') => Seen::WholeThenReset,
        (_, true, 'c') => Seen::WholeThenClosed,
        (_, true, _) => Seen::Whole,
        (_, _, 'r') => Seen::CutByReset,
        (_, _, 'c') => Seen::CutByClose,
        _ => Seen::CutBySilence,
    };
    (got, seen)
}

fn is_whole(got: &[u8]) -> bool {
    let text = String::from_utf8_lossy(got);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    if !head.starts_with("HTTP/1.1 ") {
        return false;
    }
    match head.lines().find_map(|l| l.strip_prefix("content-length: ")) {
        Some(length) => body.len() == length.parse::<usize>().unwrap(),
        None => body.ends_with("0\r\n\r\n") && !body.contains("no chunk size"),
    }
}

fn post(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn ask(stream: bool) -> String {
    post("/v1/messages", &format!(r#"{{"model":"m","max_tokens":6,"stream":{stream},"messages":[]}}"#))
}

fn body(answer: &[u8]) -> serde_json::Value {
    let start = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    serde_json::from_slice(&answer[start..]).unwrap()
}

/// What each fault must look like on the second request of a connection (for the connecting ones: on the first).
fn promised(fault: &Fault) -> Seen {
    match fault {
        Fault::None | Fault::Slice(_) | Fault::Status(..) => Seen::Whole,
        Fault::ResetAtAccept
        | Fault::ResetInTls
        | Fault::ResetOnReuse
        | Fault::ResetBeforeHeaders
        | Fault::ResetMidRequest(_) => Seen::Reset,
        Fault::StallInTls | Fault::StallBeforeHeaders => Seen::Silent,
        Fault::CloseIdle(_) => Seen::WholeThenClosed,
        Fault::ResetIdle(_) => Seen::WholeThenReset,
        Fault::CloseOnReuse | Fault::CloseBeforeHeaders => Seen::Closed,
        Fault::GarbageStatusLine | Fault::TruncateAfter(_) | Fault::LyingContentLength(_) | Fault::BadChunk => Seen::CutByClose,
        Fault::ResetInHead(_) | Fault::ResetAfter(_) => Seen::CutByReset,
        Fault::HeadersThenSilence | Fault::StallAfter(_) | Fault::NeverEnds => Seen::CutBySilence,
    }
}

fn every_fault() -> Vec<Fault> {
    let soon = Duration::from_millis(20);
    vec![
        Fault::None,
        Fault::ResetAtAccept,
        Fault::ResetInTls,
        Fault::StallInTls,
        Fault::CloseIdle(soon),
        Fault::ResetIdle(soon),
        Fault::ResetOnReuse,
        Fault::CloseOnReuse,
        Fault::ResetBeforeHeaders,
        Fault::CloseBeforeHeaders,
        Fault::ResetMidRequest(10),
        Fault::GarbageStatusLine,
        Fault::ResetInHead(12),
        Fault::HeadersThenSilence,
        Fault::ResetAfter(Mark::Bytes(0)),
        Fault::ResetAfter(Mark::Bytes(7)),
        Fault::ResetAfter(Mark::Events(2)),
        Fault::TruncateAfter(Mark::Events(12)),
        Fault::StallAfter(Mark::Events(3)),
        Fault::LyingContentLength(5),
        Fault::BadChunk,
        Fault::StallBeforeHeaders,
        Fault::Status(529, vec![("retry-after".into(), "1".into())]),
        Fault::Slice(3),
        Fault::NeverEnds,
    ]
}

#[tokio::test]
async fn each_fault_looks_as_it_is_called() {
    for fault in every_fault() {
        let connecting = fault.when() == When::Connecting;
        let plan = if connecting { vec![fault.clone()] } else { vec![Fault::None, fault.clone()] };
        let upstream = Upstream::plain(Plan::queue(plan)).unwrap();
        let mut socket = TcpStream::connect(upstream.address()).await.unwrap();
        if !connecting {
            let before = exchange(&mut socket, &ask(false), &Seen::Whole).await;
            assert_eq!(before.1, Seen::Whole, "the request before {fault:?}");
        }
        let (got, seen) = exchange(&mut socket, &ask(true), &promised(&fault)).await;
        assert_eq!(seen, promised(&fault), "{fault:?}: {}", String::from_utf8_lossy(&got));
    }
}

#[tokio::test]
async fn echo_tells_the_request_byte_for_byte() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let mut socket = TcpStream::connect(upstream.address()).await.unwrap();
    let request = "PUT /echo?q=%20a HTTP/1.1\r\nHost: x\r\nX-CaSe: 1\r\nx-twice: a\r\nTransfer-Encoding: chunked\r\n\
                   X-Twice: b\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Sum: 9\r\n\r\n";
    let (got, seen) = exchange(&mut socket, request, &Seen::Whole).await;
    assert_eq!(seen, Seen::Whole);
    let told = body(&got);
    assert_eq!((told["method"].as_str(), told["target"].as_str()), (Some("PUT"), Some("/echo?q=%20a")));
    let fields = r#"[["Host","x"],["X-CaSe","1"],["x-twice","a"],["Transfer-Encoding","chunked"],["X-Twice","b"]]"#;
    assert_eq!(told["headers"].to_string(), fields);
    // SHA-256 of "abcde".
    assert_eq!(told["body"]["sha256"], "36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c");
    assert_eq!((told["body"]["length"].as_u64(), told["body"]["trailers"].to_string().as_str()), (Some(5), r#"[["X-Sum","9"]]"#));
}

#[tokio::test]
async fn a_client_that_waits_for_continue_gets_it() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let mut socket = TcpStream::connect(upstream.address()).await.unwrap();
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    let (got, _) = exchange(&mut socket, head, &Seen::CutBySilence).await;
    assert_eq!(got, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(exchange(&mut socket, "ok", &Seen::Whole).await.1, Seen::Whole);
}

#[tokio::test]
async fn every_api_is_spoken_on_one_connection() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let mut socket = TcpStream::connect(upstream.address()).await.unwrap();
    let gemini = "/v1beta/models/g:streamGenerateContent";
    for (request, sign) in [
        (ask(false), r#""stop_reason":"end_turn""#.to_owned()),
        (ask(true), r#"{"type":"message_stop"}"#.to_owned()),
        (post("/v1/messages/count_tokens", "{}"), "input_tokens".to_owned()),
        (post("/v1/chat/completions", r#"{"stream":true}"#), "data: [DONE]".to_owned()),
        (post("/v1/responses", r#"{"stream":true}"#), "response.completed".to_owned()),
        (post("/v1/responses", "{}"), r#""status":"completed""#.to_owned()),
        (post(&format!("{gemini}?alt=sse"), "{}"), r#"data: {"candidates""#.to_owned()),
        (post(gemini, "{}"), r#"[{"candidates""#.to_owned()),
        ("GET /v1/models HTTP/1.1\r\nanthropic-version: x\r\n\r\n".into(), "claude-demo".to_owned()),
        ("GET /v1/models HTTP/1.1\r\n\r\n".into(), "gpt-demo".to_owned()),
        ("GET /nowhere HTTP/1.1\r\n\r\n".into(), "not_found_error".to_owned()),
        ("GET /hints HTTP/1.1\r\n\r\n".into(), "HTTP/1.1 103 Early Hints".to_owned()),
        ("GET /trailers HTTP/1.1\r\n\r\n".into(), "\r\n0\r\nx-checksum: 42\r\nX-Second: two\r\n\r\n".to_owned()),
    ] {
        let promised = if request.contains("/hints") || request.contains("/trailers") { Seen::CutBySilence } else { Seen::Whole };
        let (got, seen) = exchange(&mut socket, &request, &promised).await;
        let text = String::from_utf8(got).unwrap();
        assert!(text.contains(&sign), "{request} -> {seen:?} {text}");
    }
    let (head, _) = exchange(&mut socket, "HEAD /bytes/100000 HTTP/1.1\r\n\r\n", &Seen::CutBySilence).await;
    assert!(head.ends_with(b"content-length: 100000\r\n\r\n"), "{}", String::from_utf8_lossy(&head));
    let last = "GET /bytes/3 HTTP/1.1\r\nconnection: close\r\n\r\n";
    let (got, seen) = exchange(&mut socket, last, &Seen::WholeThenClosed).await;
    assert_eq!((seen, got.ends_with(b"\r\n\r\n\x00\x01\x02")), (Seen::WholeThenClosed, true));
    let record = upstream.log().wait_for(|r| r.open() == 0, LIMIT).await.unwrap();
    assert_eq!((record.connections.len(), record.processed(), record.requests.len()), (1, 15, 15));
}

#[tokio::test]
async fn a_client_that_leaves_is_recorded() {
    let upstream = Upstream::plain(Plan::always(Fault::StallAfter(Mark::Events(1)))).unwrap();
    let mut socket = TcpStream::connect(upstream.address()).await.unwrap();
    exchange(&mut socket, &ask(true), &Seen::CutBySilence).await;
    drop(socket);
    let record = upstream.log().wait_for(|r| r.requests.iter().any(|r| r.abandoned.is_some()), LIMIT).await.unwrap();
    assert_eq!(record.requests[0].answered, Answered::Head(200));
}

#[test]
fn a_seed_gives_the_same_faults_every_time_and_about_its_share() {
    let faults = || vec![Fault::ResetAtAccept, Fault::ResetInTls, Fault::ResetOnReuse];
    let draw = |seed| {
        let plan = Plan::seeded(seed, 40, faults());
        (0..1000).map(|connection| plan.choose(&Moment::Connection { connection })).collect::<Vec<_>>()
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    let struck = draw(7).iter().filter(|f| **f != Fault::None).count();
    assert!((330..470).contains(&struck), "{struck} of 1000");
    assert!(!draw(7).contains(&Fault::ResetOnReuse), "it does not fit a connection");
}

#[test]
fn a_queued_fault_waits_for_a_moment_that_it_fits() {
    let plan = Plan::queue([Fault::ResetOnReuse, Fault::ResetAtAccept]);
    let head = Head::default();
    let request = |nth| plan.choose(&Moment::Request { connection: 0, nth, ordinal: nth, head: &head });
    let connection = || plan.choose(&Moment::Connection { connection: 0 });
    assert_eq!((connection(), request(0)), (Fault::None, Fault::None));
    assert_eq!((request(1), request(2)), (Fault::ResetOnReuse, Fault::None));
    assert_eq!((connection(), connection()), (Fault::ResetAtAccept, Fault::None));
}
