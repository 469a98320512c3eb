//! Paths that no API has, for tests that care about bytes rather than about meaning.
//!
//! `/echo` says what came; `/bytes/N`, `/sse/N?delay_ms=D`, `/status/N`, `/slow?ms=D`, `/trailers` and `/hints` do what they say.

use super::{
    super::{
        answer::{Framing, Piece},
        log::{Body, Head},
    },
    Answer, error, now,
};
use bytes::Bytes;
use serde_json::json;
use std::time::Duration;

/// Size of one piece of `/bytes/N`.
const PIECE: usize = 64 * 1024;

pub(super) fn answer(head: &Head, body: &Body) -> Option<Answer> {
    let mut segments = head.path().trim_start_matches('/').split('/');
    let (first, number) = (segments.next()?, segments.next().map(str::parse::<u64>));
    let millis = |name| head.query(name).and_then(|v| v.parse().ok()).map_or(Duration::ZERO, Duration::from_millis);
    Some(match (first, number) {
        ("echo", None) => echo(head, body),
        ("bytes", Some(Ok(length))) => bytes(length),
        ("sse", Some(Ok(count))) => {
            let wait = millis("delay_ms");
            Answer::events((0..count).map(move |i| Piece { wait, bytes: format!("event: n\ndata: {{\"n\":{i}}}\n\n").into() }))
        }
        ("status", Some(Ok(status @ 200..=599))) => error(head.path(), status as u16, "as asked for"),
        ("slow", None) => Answer { wait: millis("ms"), ..Answer::whole(200, "text/plain", "slow\n") },
        ("trailers", None) => {
            let mut answer = Answer::with(200, "text/plain", Framing::Chunked, Box::new(std::iter::once(now("body\n"))));
            answer.trailers = vec![("x-checksum".into(), "42".into()), ("X-Second".into(), "two".into())];
            answer
        }
        ("hints", None) => Answer { interim: vec![103], ..Answer::whole(200, "text/plain", "hinted\n") },
        _ => return None,
    })
}

fn echo(head: &Head, body: &Body) -> Answer {
    let told = json!({
        "method": head.method, "target": head.target, "minor": head.minor, "headers": head.headers,
        "body": {"length": body.length, "sha256": body.sha256, "trailers": body.trailers},
    });
    Answer::json(200, &told)
}

fn bytes(length: u64) -> Answer {
    let pattern: Bytes = (0..PIECE).map(|i| (i % 251) as u8).collect::<Vec<u8>>().into();
    let pieces = (0..length.div_ceil(PIECE as u64)).map(move |i| {
        let left = (length - i * PIECE as u64).min(PIECE as u64);
        now(pattern.slice(..left as usize))
    });
    Answer::with(200, "application/octet-stream", Framing::Length(length), Box::new(pieces))
}
