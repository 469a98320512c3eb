//! Responses that break off: the commit window (U8), the end after the last event (U10), buffered answers (U11), silence (U14).

use crate::support::{LIMIT, TestEngine, client, eventually, message};
use leeward::config::StreamMode;
use leeward::supervisor::TestHooks;
use scripted::{Fault, Mark, Plan, Upstream};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn asked(engine: &TestEngine, path: &str, body: &serde_json::Value) -> (u16, Result<String, reqwest::Error>) {
    let response = client().post(engine.url(path)).json(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await)
}

async fn whole(upstream: &Upstream, path: &str, body: &serde_json::Value) -> String {
    client().post(upstream.url().join(path).unwrap()).json(body).send().await.unwrap().text().await.unwrap()
}

/// Every dialect: path, and how the request asks for a stream.
fn dialects() -> [(&'static str, serde_json::Value); 4] {
    [
        ("/v1/messages", message(true)),
        ("/v1/chat/completions", message(true)),
        ("/v1/responses", message(true)),
        ("/v1beta/models/g:streamGenerateContent?alt=sse", message(true)),
    ]
}

/// U8: a stream cut at any byte before its first content is whole for the client, and at any byte behind it is seen to be cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u8_a_stream_cut_at_any_byte_is_repaired_or_told() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let wanted = whole(&upstream, "/v1/messages", &message(true)).await;
    let content = wanted.find("event: content_block_delta").unwrap();
    let committed = content + wanted[content..].find("\n\n").unwrap() + 2;
    let last = wanted.len();
    // Around every boundary of the first events, the commit point and the end; a few in the middle.
    let boundaries = wanted[..committed].match_indices("\n\n").map(|(at, _)| at + 2).chain([0, committed, last - 30, last]);
    let near = boundaries.flat_map(|at| at.saturating_sub(2)..=(at + 2).min(last));
    let offsets: std::collections::BTreeSet<usize> = near.chain([50, 333, committed + 500]).collect();
    for at in offsets {
        for fault in [Fault::ResetAfter(Mark::Bytes(at as u64)), Fault::TruncateAfter(Mark::Bytes(at as u64))] {
            upstream.follow(Plan::times(1, fault.clone()));
            let (status, text) = asked(&engine, "/v1/messages", &message(true)).await;
            assert_eq!(status, 200, "{fault:?}");
            // An RST takes along what the sender's kernel has not sent yet, so only a FIN is sure to come after the last byte.
            if at == last && matches!(fault, Fault::ResetAfter(_)) {
                continue;
            }
            if at < committed || at == last {
                assert_eq!(
                    text.as_ref().ok().map(String::len),
                    Some(wanted.len()),
                    "{fault:?} of {last}, content whole at {committed} {text:?} {}",
                    engine.stats().await
                );
            } else {
                assert!(text.is_err(), "{fault:?} of {last}: looked whole");
            }
        }
    }
    let stats = engine.stats().await;
    assert_eq!(stats["retried"]["cut-before-content"], stats["replays"], "{stats}");
    assert_eq!(stats["failed"]["cut-mid-stream"], stats["outcomes"]["cut"], "{stats}");
}

/// U8 in the other dialects, and of responses that are no streams: nothing of them is shown before they are whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u8_every_dialect_is_repaired_before_its_first_content() {
    for (path, body) in dialects() {
        let mut asks = vec![(path, body.clone(), Mark::Bytes(0)), (path, body.clone(), Mark::Bytes(9))];
        let (plain, mut question) = (path.replace("streamGenerateContent?alt=sse", "generateContent"), body);
        question["stream"] = false.into();
        asks.push((&plain, question, Mark::Bytes(20)));
        for (path, body, mark) in asks {
            let upstream = Upstream::tls(Plan::none()).unwrap();
            let engine = TestEngine::start(&upstream);
            let (_, wanted) = asked(&engine, path, &body).await;
            upstream.follow(Plan::times(1, Fault::TruncateAfter(mark)));
            let (status, text) = asked(&engine, path, &body).await;
            assert_eq!((status, text.ok()), (200, wanted.ok()), "{path} {mark:?}");
            assert_eq!(engine.stats().await["retried"]["cut-before-content"], 1, "{path} {mark:?}");
        }
    }
}

/// U10: after its last event a response is whole, whatever happens to the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u10_behind_the_last_event_every_dialect_ends_cleanly() {
    for (path, body) in dialects() {
        let upstream = Upstream::plain(Plan::none()).unwrap();
        let engine = TestEngine::start(&upstream);
        let (_, wanted) = asked(&engine, path, &body).await;
        let wanted = wanted.unwrap();
        upstream.follow(Plan::times(1, Fault::TruncateAfter(Mark::Bytes(wanted.len() as u64))));
        let (status, text) = asked(&engine, path, &body).await;
        assert_eq!((status, text.ok().as_deref()), (200, Some(&wanted[..])), "{path}");
        let stats = engine.stats().await;
        assert_eq!((&stats["outcomes"]["answered"], &stats["replays"]), (&2.into(), &0.into()), "{path}: {stats}");
    }
}

/// The same with an RST, whichever way the response is passed on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u10_a_reset_behind_the_last_event_is_a_clean_end() {
    for mode in [StreamMode::Pass, StreamMode::Hold] {
        let by_hand = ByHand::new(|c| c.stream.mode = mode).await;
        let upstream = async {
            let stream = by_hand.answer(format!("{}{}", begun(), chunk(STOP))).await;
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        };
        let ((), response) = tokio::join!(upstream, by_hand.ask());
        assert_eq!(response.text().await.unwrap().replace(PING, ""), [START, DELTA, STOP].concat(), "{mode:?}");
        assert_eq!(by_hand.engine.stats().await["replays"], 0, "{mode:?}");
    }
}

/// A request that must not be sent twice gets its response as it comes, cut or not.
#[tokio::test]
async fn u8_what_must_not_be_sent_twice_is_streamed_as_it_comes() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.retry.replays = 0);
    upstream.follow(Plan::times(1, Fault::TruncateAfter(Mark::Events(1))));
    let (status, text) = asked(&engine, "/v1/messages", &message(true)).await;
    assert!(status == 200 && text.is_err());
    assert_eq!(engine.stats().await["replays"], 0);
}

/// A body too large to be kept is streamed, sent once, and the response says so.
#[tokio::test]
async fn a_request_too_large_to_be_kept_is_sent_once_and_says_so() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.limits.replay_body_bytes = 100);
    for (path, padding, wanted) in
        [("/v1/messages", 10, "1"), ("/v1/messages", 10_000, "1; not-replayable"), ("/v1/files", 10_000, "1")]
    {
        let mut body = message(true);
        body["messages"] = serde_json::json!("x".repeat(padding));
        body["max_tokens"] = 1.into();
        let response = client().post(engine.url(path)).json(&body).send().await.unwrap();
        let padded = body.to_string().len() > 100;
        assert_eq!(padded, padding > 10, "{body}");
        assert_eq!(response.headers()["x-leeward-attempts"], wanted, "{path} {padding}");
    }
}

/// U8: when nothing repairs it, the client is told in its dialect, because it has seen nothing yet.
#[tokio::test]
async fn u8_cuts_without_end_are_told_with_an_error() {
    let upstream = Upstream::plain(Plan::always(Fault::TruncateAfter(Mark::Events(2)))).unwrap();
    let engine = TestEngine::start(&upstream);
    let (status, text) = asked(&engine, "/v1/messages", &message(true)).await;
    let text = text.unwrap();
    assert!(status == 502 && text.contains("edge") && text.starts_with("{\"type\":\"error\""), "{status} {text}");
    assert_eq!(upstream.log().record().requests.len(), 3, "two replays at most");
}

/// An upstream made by hand: each connection's answer comes in two parts, the second when the test says so.
struct ByHand {
    listener: tokio::net::TcpListener,
    engine: TestEngine,
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const START: &str = "event: message_start\ndata: {\"type\":\"message_start\"}\n\n";
const DELTA: &str = "event: content_block_delta\ndata: {\"delta\":{\"text\":\"calm\"}}\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// A response up to its first content.
fn begun() -> String {
    format!("{HEAD}{}{}", chunk(START), chunk(DELTA))
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

impl ByHand {
    async fn new(tune: impl FnOnce(&mut leeward::config::Config)) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tune = |c: &mut leeward::config::Config| {
            c.upstream = url.parse().unwrap();
            c.stream.commit_wait = Duration::from_millis(20);
            c.stream.hold_ping = Duration::from_millis(20);
            tune(c);
        };
        Self { engine: TestEngine::with(None, tune, TestHooks::default()), listener }
    }

    /// The next request's connection, with this much of a response sent on it.
    async fn answer(&self, text: impl AsRef<str>) -> TcpStream {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 8192]).await.unwrap() > 0);
        stream.write_all(text.as_ref().as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self) -> reqwest::Response {
        client().post(self.engine.url("/v1/messages")).json(&message(true)).send().await.unwrap()
    }
}

async fn read_until(response: &mut reqwest::Response, text: &mut String, enough: impl Fn(&str) -> bool) {
    while !enough(text) {
        let chunk = response.chunk().await.unwrap().unwrap_or_else(|| panic!("ended with {text}"));
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// U8 and U11: a response held back for long begins with pings; what is cut behind them is repaired all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u8_u11_an_answer_held_for_long_begins_with_pings_and_is_repaired_behind_them() {
    for mode in [StreamMode::Pass, StreamMode::Hold] {
        let by_hand = ByHand::new(|c| c.stream.mode = mode).await;
        let held = if mode == StreamMode::Hold { format!("{}{}", chunk(START), chunk(DELTA)) } else { chunk(START) };
        let upstream = async {
            let first = by_hand.answer(format!("{HEAD}{held}")).await;
            (first, by_hand.listener.accept().await.unwrap().0)
        };
        let client = async {
            let mut response = by_hand.ask().await;
            let mut text = String::new();
            read_until(&mut response, &mut text, |t| t.matches(PING).count() > 2).await;
            assert_eq!(text.replace(PING, ""), "", "{mode:?}: nothing but pings");
            response
        };
        let mut response = tokio::select! {
            response = client => response,
            _ = upstream => unreachable!("nobody has given up yet"),
        };
        // Dropping the future has closed the first connection; the request comes again.
        let rest = format!("{HEAD}{}0\r\n\r\n", [START, DELTA, STOP].map(chunk).concat());
        let second = by_hand.answer(rest).await;
        let mut text = String::new();
        read_until(&mut response, &mut text, |t| t.contains(STOP)).await;
        assert_eq!(text.replace(PING, ""), [START, DELTA, STOP].concat(), "{mode:?}");
        assert_eq!(response.chunk().await.unwrap(), None, "{mode:?}: a clean end");
        let cause = if mode == StreamMode::Hold { "cut-while-buffered" } else { "cut-before-content" };
        assert_eq!(by_hand.engine.stats().await["retried"][cause], 1, "{mode:?}");
        drop(second);
    }
}

/// The same when nothing helps: an error event with the sentence, and the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u8_u11_behind_pings_a_failure_is_told_as_an_event() {
    let refusal =
        "HTTP/1.1 529 Overloaded\r\ncontent-length: 50\r\n\r\n{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}";
    let refusal = refusal.replace("50", &(refusal.len() - refusal.find('{').unwrap()).to_string());
    for (second, wanted, outcome) in
        [(HEAD, "Leeward: the edge of 127.0.0.1", "failed"), (&refusal[..], "overloaded_error", "declined")]
    {
        let by_hand = ByHand::new(|c| c.retry.replays = 1).await;
        let upstream = async {
            let first = by_hand.answer(format!("{HEAD}{}", chunk(START))).await;
            std::future::pending::<()>().await;
            drop(first);
        };
        let client = async {
            let mut response = by_hand.ask().await;
            assert!(response.chunk().await.unwrap().is_some());
            response
        };
        let response = tokio::select! {
            response = client => response,
            () = upstream => unreachable!("it waits for ever"),
        };
        drop(by_hand.answer(second).await);
        let text = response.text().await.unwrap().replace(PING, "");
        assert!(text.starts_with("event: error\ndata: {") && text.contains(wanted), "{text}");
        assert_eq!(by_hand.engine.stats().await["outcomes"][outcome], 1, "{text}");
    }
}

/// A stream of events that was announced with its length.
fn measured(text: &str, more: usize) -> String {
    let length = text.len() + more;
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{text}")
}

/// U10 and U11: a buffered answer with its last event is whole, also where more bytes were announced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u11_a_gathered_answer_that_was_announced_longer_is_whole() {
    for more in [0, 7] {
        let by_hand = ByHand::new(|c| {
            c.stream.mode = StreamMode::Hold;
            c.stream.commit_wait = LIMIT;
        })
        .await;
        let upstream = async { drop(by_hand.answer(measured(&[START, DELTA, STOP].concat(), more)).await) };
        let ((), response) = tokio::join!(upstream, by_hand.ask());
        assert_eq!(response.content_length(), Some([START, DELTA, STOP].concat().len() as u64));
        assert_eq!(response.text().await.unwrap(), [START, DELTA, STOP].concat(), "{more} more");
        assert_eq!(by_hand.engine.stats().await["outcomes"]["answered"], 1);
    }
}

/// U11 and U14: pings never break an announced length: before the content the length is not passed on, behind it they stay out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_and_an_announced_length_agree() {
    let text = [START, DELTA, STOP].concat();
    let by_hand = ByHand::new(|c| {
        c.stream.ping = true;
        c.stream.ping_after = Duration::from_millis(20);
    })
    .await;
    let begun = measured(&text, 0).replace(&[DELTA, STOP].concat(), "");
    let (mut upstream, mut response) = tokio::join!(by_hand.answer(begun), by_hand.ask());
    let mut got = String::new();
    read_until(&mut response, &mut got, |t| t.contains(PING)).await;
    upstream.write_all([DELTA, STOP].concat().as_bytes()).await.unwrap();
    assert_eq!((got + &response.text().await.unwrap()).replace(PING, ""), text);

    let by_hand = ByHand::new(|c| {
        c.stream.ping = true;
        c.stream.ping_after = Duration::from_millis(20);
        c.stream.stall_alarm = Duration::from_millis(100);
        c.stream.commit_wait = LIMIT;
    })
    .await;
    let begun = measured(&text, 0).replace(STOP, "");
    let (mut upstream, mut response) = tokio::join!(by_hand.answer(begun), by_hand.ask());
    let mut got = String::new();
    read_until(&mut response, &mut got, |t| t.ends_with(DELTA)).await;
    // Many times the pause after which a ping would be due: without pings the alarm tells of the silence.
    eventually("the silence is seen", async || by_hand.engine.health().await["conditions"][0]["code"] == "stream-silent").await;
    upstream.write_all(STOP.as_bytes()).await.unwrap();
    assert_eq!(got + &response.text().await.unwrap(), text);
}

/// U11: buffered answers survive cuts at any point; beyond the memory they wait in a file; and the order stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u11_gathered_answers_survive_every_cut() {
    for memory in [64 << 20, 1000, 0] {
        let upstream = Upstream::tls(Plan::none()).unwrap();
        let engine = TestEngine::tuned(&upstream, |c| {
            c.stream.mode = StreamMode::Hold;
            c.stream.hold_memory = memory;
        });
        for (path, body) in dialects() {
            let (_, wanted) = asked(&engine, path, &body).await;
            let wanted = wanted.unwrap();
            for at in [0, 9, wanted.len() / 2, wanted.len() - 3] {
                upstream.follow(Plan::queue([
                    Fault::ResetAfter(Mark::Bytes(at as u64)),
                    Fault::TruncateAfter(Mark::Bytes(at as u64)),
                ]));
                let (status, text) = asked(&engine, path, &body).await;
                assert_eq!((status, text.ok().as_deref()), (200, Some(&wanted[..])), "{path} at {at}, memory {memory}");
            }
        }
        let stats = engine.stats().await;
        assert_eq!((&stats["retried"]["cut-while-buffered"], &stats["replays"]), (&32.into(), &32.into()), "{stats}");
        eventually("nothing is held any more", async || engine.stats().await["in_flight"] == 0).await;
    }
}

/// U11: after two cuts "adaptive" buffers, says so, and then repairs what it passed on cut before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u11_adaptive_gathers_after_two_cuts() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.stream.mode = StreamMode::Adaptive;
        c.pool.idle = Duration::from_millis(200); // the sweep that reviews the cuts goes by it
    });
    for whole in [false, false, true, true] {
        upstream.follow(Plan::times(1, Fault::TruncateAfter(Mark::Events(9))));
        let (status, text) = asked(&engine, "/v1/messages", &message(true)).await;
        assert_eq!((status, text.is_ok()), (200, whole));
    }
    eventually("the condition is shown", async || engine.health().await["conditions"][0]["code"] == "responses-buffered").await;
    assert_eq!(engine.health().await["status"], "degraded");
}

/// U14: a ping between two events when the user wants one; never inside an event; and an end of our own when it lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u14_a_silent_stream_is_kept_alive_between_events_and_not_for_ever() {
    let by_hand = ByHand::new(|c| {
        c.stream.ping = true;
        c.stream.ping_after = Duration::from_millis(20);
        c.stream.stall_alarm = Duration::from_secs(1);
        c.stream.commit_wait = LIMIT;
    })
    .await;
    let (mut upstream, mut response) = tokio::join!(by_hand.answer(begun()), by_hand.ask());
    let mut text = String::new();
    read_until(&mut response, &mut text, |t| t.matches(PING).count() > 1).await;
    let (half, ended) = STOP.split_at(20);
    upstream.write_all(chunk(half).as_bytes()).await.unwrap();
    read_until(&mut response, &mut text, |t| t.ends_with(half)).await;
    upstream.write_all(chunk(ended).as_bytes()).await.unwrap();
    read_until(&mut response, &mut text, |t| t.contains(ended)).await;
    assert_eq!(text.replace(PING, ""), [START, DELTA, STOP].concat(), "no ping inside an event");

    let by_hand = ByHand::new(|c| {
        c.stream.ping = true;
        c.stream.ping_after = Duration::from_millis(20);
        c.stream.stall_alarm = Duration::from_millis(200);
        c.stream.commit_wait = LIMIT;
    })
    .await;
    let (_upstream, response) = tokio::join!(by_hand.answer(begun()), by_hand.ask());
    assert!(response.text().await.is_err(), "aborted, so that the client knows");
    assert_eq!(by_hand.engine.stats().await["failed"]["cut-mid-stream"], 1);
}

/// U14: without pings the client's own clocks decide; Leeward only says that there is silence, as long as there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u14_a_long_silence_is_a_condition() {
    let by_hand = ByHand::new(|c| c.stream.stall_alarm = Duration::from_millis(50)).await;
    let (mut upstream, mut response) = tokio::join!(by_hand.answer(begun()), by_hand.ask());
    assert!(response.chunk().await.unwrap().is_some());
    let code = async || by_hand.engine.health().await["conditions"][0]["code"].clone();
    eventually("the silence is shown", async || code().await == "stream-silent").await;
    upstream.write_all(format!("{}0\r\n\r\n", chunk(STOP)).as_bytes()).await.unwrap();
    eventually("and is over", async || code().await.is_null()).await;
    while response.chunk().await.unwrap().is_some() {}
}

/// What an attempt itself takes is no time spent on retrying: each cut of a buffered answer is repaired, however late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u8_u11_a_second_cut_long_after_the_first_is_repaired_too() {
    for mode in [StreamMode::Pass, StreamMode::Hold] {
        let by_hand = ByHand::new(|c| {
            c.stream.mode = mode;
            (c.retry.total, c.connect.timeout) = (Duration::from_secs(1), Duration::from_secs(1));
        })
        .await;
        let upstream = async {
            for _ in 0..2 {
                let cut = by_hand.answer(format!("{HEAD}{}", chunk(START))).await;
                tokio::time::sleep(Duration::from_millis(1100)).await; // longer than `retry.total`
                drop(cut);
            }
            by_hand.answer(format!("{HEAD}{}0\r\n\r\n", [START, DELTA, STOP].map(chunk).concat())).await
        };
        let (_last, text) = tokio::join!(upstream, async { by_hand.ask().await.text().await.unwrap() });
        assert_eq!(text.replace(PING, ""), [START, DELTA, STOP].concat(), "{mode:?}");
    }
}

/// An API that begins an error behind pings and never ends it does not keep the client waiting for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u8_an_error_that_never_ends_behind_pings_is_given_up() {
    let by_hand = ByHand::new(|c| c.stream.stall_alarm = Duration::from_secs(1)).await;
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let upstream = async {
        let cut = by_hand.answer(format!("{HEAD}{}", chunk(START))).await;
        has_begun.await.unwrap();
        drop(cut);
        by_hand.answer("HTTP/1.1 529 Overloaded\r\ncontent-length: 50\r\n\r\n{").await
    };
    let (_open, text) = tokio::join!(upstream, async {
        let response = by_hand.ask().await; // its head has gone out, with pings
        begun.send(()).unwrap();
        tokio::time::timeout(LIMIT, response.text()).await.expect("an end").unwrap()
    });
    assert!(text.replace(PING, "").starts_with("event: error\ndata: {"), "{text}");
}

/// Pings and the alarm are for the answers of an inference; a stream of notifications may be silent for as long as it likes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u14_other_streams_of_events_are_left_alone() {
    let by_hand = ByHand::new(|c| {
        c.stream.ping = true;
        (c.stream.ping_after, c.stream.stall_alarm) = (Duration::from_millis(20), Duration::from_millis(100));
    })
    .await;
    let ask = async { client().get(by_hand.engine.url("/v1/mcp/notifications")).send().await.unwrap() };
    let (mut upstream, response) = tokio::join!(by_hand.answer(format!("{HEAD}{}", chunk("data: 1\n\n"))), ask);
    tokio::time::sleep(Duration::from_millis(300)).await; // three alarms
    assert_eq!(by_hand.engine.health().await["conditions"][0]["code"], serde_json::Value::Null);
    upstream.write_all(format!("{}0\r\n\r\n", chunk("data: 2\n\n")).as_bytes()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "data: 1\n\ndata: 2\n\n");
}

/// A stream that states its length has no room for pings: with them its end would be missing, and it would look whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u8_u14_pings_never_push_the_end_out_of_an_answer_of_known_length() {
    let whole = [START, DELTA, STOP].concat();
    for held in [true, false] {
        let by_hand = ByHand::new(|c| {
            c.stream.ping = true;
            c.stream.ping_after = Duration::from_millis(20);
            if !held {
                c.stream.commit_wait = LIMIT;
            }
        })
        .await;
        let shown = if held { START.len() } else { START.len() + DELTA.len() };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n", whole.len());
        let (mut upstream, response) = tokio::join!(by_hand.answer(format!("{head}{}", &whole[..shown])), by_hand.ask());
        tokio::time::sleep(Duration::from_millis(100)).await; // time for some pings
        upstream.write_all(&whole.as_bytes()[shown..]).await.unwrap();
        assert_eq!(response.text().await.unwrap().replace(PING, ""), whole, "held {held}");
    }
}

/// An error event is the API's last word: it is passed on, and not taken for a cut and asked for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u11_an_error_event_is_the_end_of_a_gathered_answer() {
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
    let by_hand = ByHand::new(|c| c.stream.mode = StreamMode::Hold).await;
    let upstream = by_hand.answer(format!("{HEAD}{}0\r\n\r\n", [START, error].map(chunk).concat()));
    let (_open, text) = tokio::join!(upstream, async { by_hand.ask().await.text().await.unwrap() });
    assert_eq!(text.replace(PING, ""), [START, error].concat());
    assert_eq!(by_hand.engine.stats().await["replays"], 0);
}

/// Gemini streams a JSON array to whoever does not ask for events: its first element must not wait for the last one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u8_a_stream_of_json_is_streamed_as_it_comes() {
    let by_hand = ByHand::new(|c| c.stream.commit_wait = LIMIT).await;
    let head = HEAD.replace("text/event-stream", "application/json; charset=UTF-8");
    let path = by_hand.engine.url("/v1beta/models/g:streamGenerateContent");
    let ask = async { client().post(path).json(&message(true)).send().await.unwrap() };
    let (mut upstream, mut response) = tokio::join!(by_hand.answer(format!("{head}{}", chunk("[{},"))), ask);
    let mut text = String::new();
    read_until(&mut response, &mut text, |t| t == "[{},").await;
    upstream.write_all(format!("{}0\r\n\r\n", chunk("{}]")).as_bytes()).await.unwrap();
    read_until(&mut response, &mut text, |t| t == "[{},{}]").await;
}

/// U11: a response that outgrows the room for files, or takes too long, is passed on from there, whole and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u11_a_gathered_answer_has_bounds() {
    let bounds: [fn(&mut leeward::config::Config); 2] =
        [|c| c.stream.hold_disk = 10_000, |c| c.stream.hold_time = Duration::from_millis(200)];
    for bound in bounds {
        let by_hand = ByHand::new(|c| {
            c.stream.mode = StreamMode::Hold;
            c.stream.hold_memory = 1000;
            bound(c);
        })
        .await;
        let upstream = async {
            let mut stream = by_hand.answer(format!("{HEAD}{}", chunk(START))).await;
            let mut every = tokio::time::interval(Duration::from_millis(1));
            loop {
                every.tick().await;
                if stream.write_all(chunk(DELTA).as_bytes()).await.is_err() {
                    return;
                }
            }
        };
        let client = async {
            let mut response = by_hand.ask().await;
            let mut text = String::new();
            read_until(&mut response, &mut text, |t| t.matches(DELTA).count() > 500).await;
            let content = text.replace(PING, "");
            let whole = [START, &DELTA.repeat(content.len() / DELTA.len())].concat();
            assert!(whole.starts_with(&content), "nothing is missing or out of place");
        };
        tokio::select! {
            () = client => {}
            () = upstream => unreachable!("the client reads on"),
        }
    }
}
