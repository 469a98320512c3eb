//! The APIs that the upstream speaks, as far as agents and their SDKs need them: which path gets which response.
//!
//! Everything it says is fixed, so that the same question gets the same bytes however often it is asked.

mod anthropic;
mod gemini;
mod openai;
mod plain;
mod startup;

use super::{
    answer::{Answer, Framing, Piece},
    log::{Body, Head},
};
use serde_json::{Value, json};
use std::time::Duration;

/// Words of a response when the question does not limit them.
const DEFAULT_WORDS: u64 = 24;
/// Most words of a response.
const MOST_WORDS: u64 = 4096;

/// The response to a request, as if nothing were wrong. With `?pause_ms=N` a stream pauses so long before each event; `?coding=`
/// names one that it is compressed in.
pub(super) fn answer(head: &Head, body: &Body, content: &[u8]) -> Answer {
    let mut answer = at_once(head, body, content);
    let pause = head.query("pause_ms").and_then(|v| v.parse().ok()).map(Duration::from_millis);
    if let (Some(wait), Framing::Chunked) = (pause, answer.framing) {
        answer.pieces = Box::new(answer.pieces.map(move |piece| Piece { wait, ..piece }));
    }
    answer
}

fn at_once(head: &Head, body: &Body, content: &[u8]) -> Answer {
    let question = || serde_json::from_slice::<Value>(content).unwrap_or(Value::Null);
    let path = head.path();
    if let Some(answer) = plain::answer(head, body).or_else(|| startup::answer(head)) {
        return answer;
    }
    match (head.method.as_str(), path) {
        ("GET" | "HEAD", "/api/hello") => Answer::json(200, &json!({"message": "hello"})),
        ("POST", "/v1/messages") => anthropic::messages(&question()),
        ("POST", "/v1/messages/count_tokens") => Answer::json(200, &json!({"input_tokens": content.len() / 4})),
        ("GET", "/v1/models") if head.header("anthropic-version").is_some() => anthropic::models(),
        ("GET", "/v1/models" | "/models") => openai::models(),
        ("POST", "/v1/chat/completions" | "/chat/completions") => openai::chat(&question()),
        ("POST", "/v1/responses" | "/responses" | "/backend-api/codex/responses") => openai::responses(&question()),
        ("POST", _) if path.ends_with(":generateContent") => gemini::whole(&question()),
        ("POST", _) if path.ends_with(":streamGenerateContent") => gemini::stream(&question(), head.query("alt") == Some("sse")),
        _ => error(path, 404, &format!("{} {path} is not known here", head.method)),
    }
}

/// An error in the dialect of the path.
pub(super) fn error(path: &str, status: u16, message: &str) -> Answer {
    if path.contains(":generateContent") || path.contains(":streamGenerateContent") {
        return Answer::json(status, &json!({"error": {"code": status, "message": message, "status": "UNAVAILABLE"}}));
    }
    if path.ends_with("/chat/completions") || path.ends_with("/responses") {
        let error = json!({"message": message, "type": "server_error", "param": null, "code": null});
        return Answer::json(status, &json!({ "error": error })).header("x-request-id", "req_demo");
    }
    let kind = anthropic::error_type(status);
    let body = json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_demo"});
    Answer::json(status, &body).header("request-id", "req_demo")
}

/// The headers of an event stream, then `ping` events for ever.
pub(super) fn endless() -> Answer {
    let ping = Piece { wait: Duration::from_millis(20), bytes: anthropic::event("ping", &json!({"type": "ping"})) };
    Answer::events(std::iter::repeat(ping))
}

/// Of a stream this many events, then an error in its dialect and a proper end. Another response stays as it is.
pub(super) fn interrupted(mut answer: Answer, path: &str, events: usize) -> Answer {
    if answer.framing != Framing::Chunked {
        return answer;
    }
    let error: Vec<u8> = error(path, 529, "the upstream gives up, as planned").pieces.flat_map(|p| p.bytes).collect();
    let name = if path.ends_with("/messages") || path.ends_with("/responses") { "event: error\n" } else { "" };
    let event = now([name.as_bytes(), b"data: ", &error, b"\n\n"].concat());
    answer.pieces = Box::new(answer.pieces.take(events).chain(std::iter::once(event)));
    answer
}

/// The words of a response: as many as the question allows, always the same ones.
fn words(question: &Value) -> Vec<String> {
    let limits = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
    let limit = limits.iter().find_map(|key| question.get(key)?.as_u64());
    let limit = limit.or_else(|| question.pointer("/generationConfig/maxOutputTokens")?.as_u64());
    let lee = ["calm", "water", "lies", "behind", "the", "wall", "while", "the", "wind", "blows", "outside", "\u{2248}"];
    (0..limit.unwrap_or(DEFAULT_WORDS).clamp(1, MOST_WORDS))
        .map(|i| format!("{}{} ", lee[(i % lee.len() as u64) as usize], i))
        .collect()
}

fn streams(question: &Value) -> bool {
    question.get("stream").and_then(Value::as_bool) == Some(true)
}

fn model<'a>(question: &'a Value, default: &'a str) -> &'a str {
    question.get("model").and_then(Value::as_str).unwrap_or(default)
}

fn now(bytes: impl Into<bytes::Bytes>) -> Piece {
    Piece { wait: Duration::ZERO, bytes: bytes.into() }
}
