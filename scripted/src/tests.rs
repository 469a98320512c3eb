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
    /// A complete response; the connection is still open.
    Whole,
    /// A complete response, then FIN.
    WholeThenClosed,
    /// A complete response, then RST.
    WholeThenReset,
    /// RST before any byte.
    Reset,
    /// FIN before any byte.
    Closed,
    /// No byte, and still open.
    Silent,
    /// Some bytes that are no complete response, then RST.
    CutByReset,
    /// The same, then FIN.
    CutByClose,
    /// The same, and still open.
    CutBySilence,
}

/// Sends a request and reads until the connection looks as promised, or in a way that cannot become so any more.
async fn exchange(socket: &mut TcpStream, request: &str, promised: &Seen) -> (Vec<u8>, Seen) {
    let mut got = Vec::new();
    // A write may fail when the reset is faster; what counts is what the read then shows.
    let _ = socket.write_all(request.as_bytes()).await;
    let end = loop {
        let done = match promised {
            Seen::Whole => is_whole(&got),
            // `NeverEnds` is never silent; this much of it will do.
            Seen::CutBySilence => got.len() > 4096,
            _ => false,
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
        // No bytes of TLS are large enough on a plain connection.
        Fault::None | Fault::ResetHelloOver(_) => Seen::Whole,
        Fault::Slice(_) | Fault::Drip(..) | Fault::Status(..) | Fault::HugeHead(_) => Seen::Whole,
        Fault::Interim(_) | Fault::ErrorEvent(_) => Seen::Whole,
        Fault::ResetAtAccept
        | Fault::Overflow
        | Fault::ResetInTls
        | Fault::ResetInServerHello(_)
        | Fault::ResetOnReuse
        | Fault::ResetBeforeHeaders
        | Fault::ResetMidRequest(_) => Seen::Reset,
        Fault::StallInTls | Fault::StallInServerHello(_) | Fault::StallBeforeHeaders | Fault::StallMidRequest(_) => Seen::Silent,
        Fault::CloseIdle(_) => Seen::WholeThenClosed,
        Fault::ResetIdle(_) => Seen::WholeThenReset,
        // They strike the request after it.
        Fault::CloseOnNextByte | Fault::ResetOnNextByte => Seen::Whole,
        Fault::CloseInTls | Fault::CloseOnReuse | Fault::CloseBeforeHeaders | Fault::CloseMidRequest(_) => Seen::Closed,
        Fault::GarbageStatusLine
        | Fault::CloseInHead(_)
        | Fault::TruncateAfter(_)
        | Fault::LyingContentLength(_)
        | Fault::BadChunk(_) => Seen::CutByClose,
        Fault::ResetInHead(_) | Fault::ResetAfter(_) => Seen::CutByReset,
        Fault::StallInHead(_) | Fault::HeadersThenSilence | Fault::StallAfter(_) | Fault::NeverEnds => Seen::CutBySilence,
        // `is_whole` does not let more come than was claimed.
        Fault::ShortContentLength(_) => Seen::CutBySilence,
    }
}

fn every_fault() -> Vec<Fault> {
    let soon = Duration::from_millis(20);
    vec![
        Fault::None,
        Fault::ResetAtAccept,
        Fault::Overflow,
        Fault::ResetInTls,
        Fault::CloseInTls,
        Fault::StallInTls,
        Fault::ResetHelloOver(0),
        Fault::ResetInServerHello(50),
        Fault::StallInServerHello(50),
        Fault::CloseIdle(soon),
        Fault::ResetIdle(soon),
        Fault::CloseOnNextByte,
        Fault::ResetOnNextByte,
        Fault::ResetOnReuse,
        Fault::CloseOnReuse,
        Fault::ResetBeforeHeaders,
        Fault::CloseBeforeHeaders,
        Fault::StallBeforeHeaders,
        Fault::ResetMidRequest(10),
        Fault::CloseMidRequest(10),
        Fault::StallMidRequest(10),
        Fault::GarbageStatusLine,
        Fault::HugeHead(100_000),
        Fault::Interim(3),
        Fault::ResetInHead(12),
        Fault::CloseInHead(12),
        Fault::StallInHead(12),
        Fault::HeadersThenSilence,
        Fault::ResetAfter(Mark::Bytes(0)),
        Fault::ResetAfter(Mark::Bytes(7)),
        Fault::ResetAfter(Mark::Events(2)),
        Fault::ResetAfter(Mark::End),
        Fault::TruncateAfter(Mark::Events(12)),
        Fault::TruncateAfter(Mark::End),
        Fault::StallAfter(Mark::Events(3)),
        Fault::StallAfter(Mark::End),
        Fault::LyingContentLength(5),
        Fault::ShortContentLength(5),
        Fault::BadChunk(Mark::Events(1)),
        Fault::BadChunk(Mark::Bytes(5)),
        Fault::ErrorEvent(2),
        Fault::NeverEnds,
        Fault::Status(529, vec![("retry-after".into(), "1".into())]),
        Fault::Slice(3),
        Fault::Drip(200, Duration::from_millis(1)),
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
async fn a_next_request_meets_its_end_at_its_first_byte() {
    for (fault, end) in [(Fault::ResetOnNextByte, Seen::Reset), (Fault::CloseOnNextByte, Seen::Closed)] {
        let upstream = Upstream::plain(Plan::times(1, fault)).unwrap();
        let mut socket = TcpStream::connect(upstream.address()).await.unwrap();
        assert_eq!(exchange(&mut socket, &ask(false), &Seen::Whole).await.1, Seen::Whole);
        assert_eq!(exchange(&mut socket, "G", &end).await.1, end);
        assert_eq!(upstream.log().record().requests.len(), 1);
    }
}

/// Whatever is cut: all that stands before the mark comes, and nothing after it.
#[tokio::test]
async fn cuts_are_where_they_are_said_to_be() {
    // As much of the chunks as there is.
    let content = |got: &[u8]| {
        let text = String::from_utf8(got.to_vec()).unwrap();
        let (mut rest, mut content) = (text.split_once("\r\n\r\n").unwrap().1, String::new());
        while let Some((size, more)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap_or(0);
            content.push_str(&more[..size]);
            rest = if size == 0 { "" } else { &more[size + 2..] };
        }
        content
    };
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let mut socket = TcpStream::connect(upstream.address()).await.unwrap();
    let whole = content(&exchange(&mut socket, &ask(true), &Seen::Whole).await.0);
    let second = whole.match_indices("\n\n").nth(1).unwrap().0 + 2;
    for (mark, length) in [
        (Mark::Bytes(0), 0),
        (Mark::Bytes(1), 1),
        (Mark::Bytes(second as u64), second),
        (Mark::Events(2), second),
        (Mark::Bytes(700), 700),
        (Mark::End, whole.len()),
    ] {
        for fault in [Fault::ResetAfter(mark), Fault::TruncateAfter(mark), Fault::StallAfter(mark), Fault::BadChunk(mark)] {
            upstream.follow(Plan::times(1, fault.clone()));
            let mut socket = TcpStream::connect(upstream.address()).await.unwrap();
            let (got, seen) = exchange(&mut socket, &ask(true), &promised(&fault)).await;
            assert_eq!(seen, promised(&fault), "{fault:?}");
            assert_eq!(content(&got), whole[..length], "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_full_queue_resets_who_comes_and_serves_who_waits() {
    let queue = Queue { places: 2, every: Duration::from_millis(50) };
    let upstream = Upstream::behind(queue, Plan::none()).unwrap();
    let sockets = futures_util::future::join_all((0..20).map(|_| TcpStream::connect(upstream.address()))).await;
    assert_eq!(sockets.iter().filter(|s| s.is_ok()).count(), 20, "the system's own queue is long enough");
    let record = upstream.log().wait_for(|r| r.connections.len() == 20, LIMIT).await.unwrap();
    assert!(record.faults()["overflow"] >= 10, "{:?}", record.faults());
    assert!(record.open() > 0, "those that found a place are served");
}

#[tokio::test]
async fn a_stream_pauses_where_it_is_asked_to_and_thinks_first() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let mut socket = TcpStream::connect(upstream.address()).await.unwrap();
    let began = std::time::Instant::now();
    let question = r#"{"max_tokens":2,"stream":true,"thinking":{"type":"enabled","budget_tokens":1024}}"#;
    let (got, seen) = exchange(&mut socket, &post("/v1/messages?beta=true&pause_ms=4", question), &Seen::Whole).await;
    let text = String::from_utf8(got).unwrap();
    let events: Vec<&str> = text.split("event: ").skip(1).filter_map(|e| e.lines().next()).collect();
    let (start, delta, stop) = ("content_block_start", "content_block_delta", "content_block_stop");
    let wanted = ["message_start", start, "ping", delta, delta, stop, start, delta, delta, stop, "message_delta", "message_stop"];
    assert_eq!((seen, &events[..]), (Seen::Whole, &wanted[..]));
    assert!(began.elapsed() >= Duration::from_millis(48), "twelve pauses");
    for (path, sign) in [
        ("/v1/messages", "event: error\ndata: {\"type\":\"error\""),
        ("/v1/responses", "event: error\ndata: {\"error\""),
        ("/v1/chat/completions", "\ndata: {\"error\""),
        ("/v1beta/models/g:streamGenerateContent?alt=sse", "\ndata: {\"error\""),
    ] {
        upstream.follow(Plan::times(1, Fault::ErrorEvent(3)));
        let (got, seen) = exchange(&mut socket, &post(path, r#"{"stream":true}"#), &Seen::Whole).await;
        let text = String::from_utf8(got).unwrap();
        assert!(seen == Seen::Whole && text.contains(sign) && text.matches("data: ").count() == 4, "{path}: {text}");
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
