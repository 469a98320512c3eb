//! The Messages API: one response, streamed or whole.

use super::{Answer, model, now, streams, words};
use bytes::Bytes;
use serde_json::{Value, json};

const MODEL: &str = "claude-demo";

pub(super) fn messages(question: &Value) -> Answer {
    let words = words(question);
    let model = model(question, MODEL);
    if streams(question) {
        let thinks = question.pointer("/thinking/type").and_then(Value::as_str).is_some_and(|t| t != "disabled");
        return Answer::events(stream(model, &words, thinks).into_iter().map(now)).header("request-id", "req_demo");
    }
    let text = words.concat();
    let body = json!({
        "id": "msg_demo", "type": "message", "role": "assistant", "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 8, "output_tokens": words.len()},
    });
    Answer::json(200, &body).header("request-id", "req_demo")
}

/// The order of events is the API's own: a `ping` follows the start of the first block, a thinking block comes first.
fn stream(model: &str, words: &[String], thinks: bool) -> Vec<Bytes> {
    let start = json!({
        "id": "msg_demo", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 8, "output_tokens": 1},
    });
    let mut events = vec![event("message_start", &json!({"type": "message_start", "message": start}))];
    if thinks {
        let thought = json!({"type": "thinking_delta", "thinking": "Which wall keeps the wind out?"});
        let signature = json!({"type": "signature_delta", "signature": "c2lnbmVk"});
        events.extend(block(0, &json!({"type": "thinking", "thinking": "", "signature": ""}), vec![thought, signature]));
    }
    let texts = words.iter().map(|word| json!({"type": "text_delta", "text": word})).collect();
    events.extend(block(usize::from(thinks), &json!({"type": "text", "text": ""}), texts));
    events.insert(2, event("ping", &json!({"type": "ping"})));
    let (delta, usage) = (json!({"stop_reason": "end_turn", "stop_sequence": null}), json!({"output_tokens": words.len()}));
    events.extend([
        event("message_delta", &json!({"type": "message_delta", "delta": delta, "usage": usage})),
        event("message_stop", &json!({"type": "message_stop"})),
    ]);
    events
}

fn block(index: usize, empty: &Value, deltas: Vec<Value>) -> Vec<Bytes> {
    let start = json!({"type": "content_block_start", "index": index, "content_block": empty});
    let mut events = vec![event("content_block_start", &start)];
    events.extend(
        deltas
            .into_iter()
            .map(|delta| event("content_block_delta", &json!({"type": "content_block_delta", "index": index, "delta": delta}))),
    );
    events.push(event("content_block_stop", &json!({"type": "content_block_stop", "index": index})));
    events
}

pub(super) fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

pub(super) fn models() -> Answer {
    let model = json!({"type": "model", "id": MODEL, "display_name": "Claude Demo", "created_at": "2026-01-01T00:00:00Z"});
    Answer::json(200, &json!({"data": [model], "has_more": false, "first_id": MODEL, "last_id": MODEL}))
}

pub(super) fn error_type(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}
