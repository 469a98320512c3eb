//! The Messages API: one answer, streamed or whole.

use super::{Answer, model, now, streams, words};
use bytes::Bytes;
use serde_json::{Value, json};

const MODEL: &str = "claude-demo";

pub(super) fn messages(question: &Value) -> Answer {
    let words = words(question);
    let model = model(question, MODEL);
    if streams(question) {
        return Answer::events(stream(model, &words).into_iter().map(now)).header("request-id", "req_demo");
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

fn stream(model: &str, words: &[String]) -> Vec<Bytes> {
    let start = json!({
        "id": "msg_demo", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 8, "output_tokens": 1},
    });
    let mut events = vec![
        event("message_start", &json!({"type": "message_start", "message": start})),
        event(
            "content_block_start",
            &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
        event("ping", &json!({"type": "ping"})),
    ];
    events.extend(words.iter().map(|word| {
        let delta = json!({"type": "text_delta", "text": word});
        event("content_block_delta", &json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    }));
    let (delta, usage) = (json!({"stop_reason": "end_turn", "stop_sequence": null}), json!({"output_tokens": words.len()}));
    events.extend([
        event("content_block_stop", &json!({"type": "content_block_stop", "index": 0})),
        event("message_delta", &json!({"type": "message_delta", "delta": delta, "usage": usage})),
        event("message_stop", &json!({"type": "message_stop"})),
    ]);
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
