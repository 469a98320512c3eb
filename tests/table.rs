//! The table fault x kind of request -> outcome. `promise` is the specification; here each cell is put to the test.

mod ask;
mod promise;

use crate::support::{LIMIT, TestEngine, eventually};
use ask::{Ask, LARGE};
use futures_util::{StreamExt, stream};
use promise::{Promise, TIMEOUT, promise};
use scripted::{Connection, Fault, Mark, Plan, Record, Upstream, When};
use serde_json::Value;
use std::time::Duration;

/// Cells at a time: most of those that take long wait for a clock.
const WIDTH: usize = 10;
/// How long a silent answer is watched.
const SILENCE: Duration = Duration::from_millis(300);

/// Every fault, with marks that fit the kind's own stream.
fn faults(ask: Ask) -> Vec<Fault> {
    let refused = |status, headers: &[(&str, &str)]| {
        Fault::Status(status, headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    };
    let mut faults = vec![
        Fault::None,
        Fault::ResetAtAccept,
        Fault::Overflow,
        Fault::ResetInTls,
        Fault::CloseInTls,
        Fault::StallInTls,
        Fault::ResetHelloOver(1000),
        Fault::ResetInServerHello(100),
        Fault::StallInServerHello(100),
        Fault::CloseIdle(Duration::ZERO),
        Fault::ResetIdle(Duration::ZERO),
        Fault::CloseOnNextByte,
        Fault::ResetOnNextByte,
        Fault::ResetOnReuse,
        Fault::CloseOnReuse,
        Fault::ResetBeforeHeaders,
        Fault::CloseBeforeHeaders,
        Fault::StallBeforeHeaders,
        Fault::ResetMidRequest(1000),
        Fault::CloseMidRequest(1000),
        Fault::StallMidRequest(1000),
        Fault::GarbageStatusLine,
        Fault::HugeHead(1 << 20),
        Fault::Interim(1000),
        Fault::ResetInHead(12),
        Fault::CloseInHead(12),
        Fault::StallInHead(12),
        Fault::HeadersThenSilence,
        Fault::LyingContentLength(7),
        Fault::ShortContentLength(7),
        Fault::ErrorEvent(2),
        Fault::NeverEnds,
        refused(429, &[("retry-after", "3"), ("anthropic-ratelimit-unified-status", "rejected")]),
        refused(500, &[]),
        refused(503, &[("x-should-retry", "false")]),
        refused(529, &[]),
        refused(413, &[]),
        refused(520, &[]),
        Fault::Slice(1),
        Fault::Drip(50, Duration::from_millis(1)),
    ];
    let preamble = Mark::Events(ask.preamble());
    let content = Mark::Events(ask.preamble() + 1);
    for mark in [Mark::Bytes(0), Mark::Bytes(9), preamble, content, Mark::End] {
        faults.extend([Fault::TruncateAfter(mark), Fault::BadChunk(mark), Fault::StallAfter(mark)]);
        // Elsewhere an RST destroys also what had arrived before it and was not read yet.
        if cfg!(unix) || matches!(mark, Mark::Bytes(_)) {
            faults.push(Fault::ResetAfter(mark));
        }
    }
    faults
}

/// Status and body as an agent gets them that asks a plain upstream itself.
async fn directly(ask: Ask, fault: &Fault, large: usize) -> (u16, String) {
    let upstream = Upstream::plain(Plan::times(1, fault.clone())).unwrap();
    let response = ask.put(upstream.url().as_str(), large).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

fn total(stats: &Value, of: &str) -> u64 {
    stats[of].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum()
}

/// Requests that came whole.
fn arrived(record: &Record) -> usize {
    record.requests.iter().filter(|r| r.body.complete).count()
}

/// One cell: the fault strikes one request once.
async fn cell(ask: Ask, fault: Fault) {
    let promised = promise(&fault, ask);
    let what = format!("{fault:?} {ask:?} -> {promised:?}");
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        ask.tune(c);
        // What is told in the middle of an upload reaches a client that is slow to look up, too.
        c.client.linger = LIMIT / 2;
        match fault {
            Fault::StallInTls | Fault::StallInServerHello(_) => c.connect.tls_timeout = Duration::from_secs(1),
            Fault::StallMidRequest(_) => c.connect.write_stall = Duration::from_millis(500),
            _ => {}
        }
    });
    let base = engine.url("/");
    let in_body = matches!(fault, Fault::ResetMidRequest(_) | Fault::CloseMidRequest(_) | Fault::StallMidRequest(_));
    let large = if in_body { LARGE } else { 0 };
    // The agent's own deadline, where it is what ends the request; else far off, for machines that are busy.
    let patience = if promised == TIMEOUT { "1" } else { "30" };
    let put = || ask.put(&base, large).header("x-stainless-timeout", patience);

    let strikes_the_next =
        matches!(fault, Fault::CloseIdle(_) | Fault::ResetIdle(_) | Fault::CloseOnNextByte | Fault::ResetOnNextByte);
    if strikes_the_next || fault.when() == When::Reused {
        upstream.follow(Plan::times(1, if strikes_the_next { fault.clone() } else { Fault::None }));
        // An RST right after the response may overtake its end; then this request was cut, and the next one is what counts.
        if let Ok(response) = put().send().await {
            response.bytes().await.ok();
        }
    }
    if matches!(fault, Fault::CloseIdle(_) | Fault::ResetIdle(_)) {
        upstream.log().wait_for(|r| r.open() == 0, LIMIT).await.unwrap();
    }
    if !strikes_the_next {
        upstream.follow(Plan::times(1, fault.clone()));
    }
    let (stats_before, seen_before) = (engine.stats().await, upstream.log().record());

    if promised == Promise::Silence {
        let silent = async {
            let text = put().send().await?.text().await?;
            Ok::<_, reqwest::Error>(text)
        };
        let ended = tokio::time::timeout(SILENCE, silent).await;
        assert!(ended.is_err(), "{what}: {ended:?}");
        // One that was dialled for it and not needed in the end rests in the pool.
        let over = |c: &Connection| c.closed || (c.requests == 0 && c.fault == Fault::None);
        upstream.log().wait_for(|r| r.connections.iter().all(over), LIMIT).await.unwrap();
        return idle(&engine, &what).await;
    }

    let answer = match put().send().await {
        Ok(response) => {
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok((status, headers, response.text().await))
        }
        Err(e) => Err(e),
    };
    idle(&engine, &what).await;
    let (stats, seen) = (engine.stats().await, upstream.log().record());
    let more = |of: &str| total(&stats, of) - total(&stats_before, of);
    let retried = |cause: &str| stats["retried"][cause].as_u64().unwrap() - stats_before["retried"][cause].as_u64().unwrap();
    let replays = stats["replays"].as_u64().unwrap() - stats_before["replays"].as_u64().unwrap();
    let context = format!("{what}: {answer:?} {stats}");
    let told =
        answer.as_ref().ok().and_then(|(status, headers, _)| Some((*status, headers.get("x-leeward-error")?.to_str().ok()?)));

    // Whatever comes out: nothing runs twice but what was counted as a replay, and some things never do.
    let whole = arrived(&seen) - arrived(&seen_before);
    assert!(whole as u64 <= 1 + replays, "{context}: {seen:?}");
    assert!(replays == 0 || ask.may_repeat(), "{context}");

    let promised = match promised {
        Promise::InTime(causes, _) if told.is_none() => Promise::Repaired(causes),
        Promise::InTime(_, codes) => Promise::Told(codes),
        other => other,
    };
    match promised {
        Promise::Repaired(causes) => {
            // What breaks while a connection is made is mended there, where there is another way to make it (U2).
            let said = answer.as_ref().ok().and_then(|a| a.1["x-leeward-attempts"].to_str().ok()).unwrap_or_default();
            let (attempts, note) = said.split_once("; ").unwrap_or((said, ""));
            assert_eq!(note, if ask.is_held() { "" } else { "not-replayable" }, "{context}");
            let least = if fault.when() == When::Connecting { 1 } else { 2 };
            assert!(attempts.parse::<u32>().is_ok_and(|n| n >= least), "{context}");
            right(answer, directly(ask, &Fault::None, large).await, &context);
            assert!(causes.iter().any(|c| retried(c) > 0), "{context}");
            assert_eq!(more("failed"), 0, "{context}");
        }
        Promise::Right => {
            right(answer, directly(ask, &Fault::None, large).await, &context);
            assert_eq!((more("failed"), replays), (0, 0), "{context}");
        }
        Promise::AsSent => {
            assert_eq!(told, None, "{context}");
            right(answer, directly(ask, &fault, large).await, &context);
            assert_eq!((more("retried"), more("failed"), whole), (0, 0, 1), "{context}");
        }
        Promise::Told(codes) => {
            assert!(told.is_some_and(|told| codes.contains(&told)), "{context}");
            let (_, headers, text) = answer.unwrap();
            let json: Value = serde_json::from_str(&text.unwrap()).unwrap();
            assert!(json["error"]["message"].as_str().is_some_and(|m| m.len() > 20), "{context}");
            assert!(headers.contains_key("x-should-retry"), "{context}");
            assert_eq!((more("failed"), replays), (1, 0), "{context}");
        }
        Promise::Aborted => {
            // The cut may come before the head has left Leeward; then there is not even that.
            assert!(!matches!(answer, Ok((_, _, Ok(_)))), "{context}: looked whole");
            assert_eq!((more("failed"), replays), (1, 0), "{context}");
        }
        Promise::Silence | Promise::InTime(..) => unreachable!("handled above"),
    }
}

type Answer = Result<(u16, reqwest::header::HeaderMap, Result<String, reqwest::Error>), reqwest::Error>;

fn right(answer: Answer, wanted: (u16, String), context: &str) {
    let (status, _, text) = answer.unwrap_or_else(|_| panic!("{context}"));
    let text = text.unwrap_or_else(|_| panic!("{context}"));
    assert!((status, &text) == (wanted.0, &wanted.1), "{context}: instead of {wanted:?}");
}

async fn idle(engine: &TestEngine, what: &str) {
    eventually(&format!("{what}: nothing is left in flight"), async || engine.stats().await["in_flight"] == 0).await;
}

async fn row(ask: Ask) {
    stream::iter(faults(ask)).for_each_concurrent(WIDTH, |fault| cell(ask, fault)).await;
}

macro_rules! rows {
    ($($name:ident: $ask:ident,)*) => {
        /// A kind without a row does not compile.
        #[allow(dead_code, reason = "it is there to be compiled")]
        fn every_kind_has_its_row(ask: Ask) {
            match ask { $(Ask::$ask => {})* }
        }
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                row(Ask::$ask).await;
            }
        )*
    };
}

rows! {
    messages: Messages,
    messages_json: MessagesJson,
    chat: Chat,
    responses: Responses,
    gemini: Gemini,
    count_tokens: CountTokens,
    get: Get,
    oauth: OAuth,
    upload: Upload,
    retrying: Retrying,
}

/// A fault that the table leaves out is told by its name.
#[test]
fn the_table_has_every_fault() {
    let names: std::collections::BTreeSet<_> = faults(Ask::Messages).iter().map(Fault::name).collect();
    let missing: Vec<_> = Fault::NAMES.iter().filter(|n| !names.contains(*n)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
