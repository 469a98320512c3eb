//! Chat Completions and Responses: one response each, streamed or whole.

use super::{Answer, model, now, streams, words};
use bytes::Bytes;
use serde_json::{Value, json};

const MODEL: &str = "gpt-demo";
/// 2026-01-01T00:00:00Z; fixed, so that the same question gets the same bytes.
const CREATED: u64 = 1_767_225_600;

pub(super) fn chat(question: &Value) -> Answer {
    let words = words(question);
    let base = |object: &str, choice: Value| json!({"id": "chatcmpl-demo", "object": object, "created": CREATED, "model": model(question, MODEL), "choices": [choice]});
    if !streams(question) {
        let message = json!({"role": "assistant", "content": words.concat(), "refusal": null});
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"});
        let mut body = base("chat.completion", choice);
        body["usage"] = json!({"prompt_tokens": 8, "completion_tokens": words.len(), "total_tokens": 8 + words.len()});
        return Answer::json(200, &body).header("x-request-id", "req_demo");
    }
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        data(&base("chat.completion.chunk", choice))
    };
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    events.extend(words.iter().map(|word| chunk(json!({ "content": word }), Value::Null)));
    events.push(chunk(json!({}), json!("stop")));
    events.push("data: [DONE]\n\n".into());
    Answer::events(events.into_iter().map(now)).header("x-request-id", "req_demo")
}

pub(super) fn responses(question: &Value) -> Answer {
    let words = words(question);
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let item = |status: &str, content: Value| json!({"id": "msg_demo", "type": "message", "status": status, "role": "assistant", "content": content});
    let text = words.concat();
    let response = |status: &str, output: Value| {
        let usage = json!({
            "input_tokens": 8, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": words.len(),
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 8 + words.len(),
        });
        let usage = if status == "completed" { usage } else { Value::Null };
        json!({
            "id": "resp_demo", "object": "response", "created_at": CREATED, "status": status, "model": model(question, MODEL),
            "output": output, "error": null, "incomplete_details": null, "instructions": null, "metadata": {},
            "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0, "usage": usage,
        })
    };
    let finished = item("completed", json!([part(&text)]));
    if !streams(question) {
        return Answer::json(200, &response("completed", json!([finished]))).header("x-request-id", "req_demo");
    }
    let place = |mut event: Value| {
        event["item_id"] = json!("msg_demo");
        event["output_index"] = json!(0);
        event["content_index"] = json!(0);
        event
    };
    let mut events = vec![
        json!({"type": "response.created", "response": response("in_progress", json!([]))}),
        json!({"type": "response.in_progress", "response": response("in_progress", json!([]))}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item("in_progress", json!([]))}),
        place(json!({"type": "response.content_part.added", "part": part("")})),
    ];
    events.extend(words.iter().map(|word| place(json!({"type": "response.output_text.delta", "delta": word, "logprobs": []}))));
    events.extend([
        place(json!({"type": "response.output_text.done", "text": text, "logprobs": []})),
        place(json!({"type": "response.content_part.done", "part": part(&text)})),
        json!({"type": "response.output_item.done", "output_index": 0, "item": finished}),
        json!({"type": "response.completed", "response": response("completed", json!([finished]))}),
    ]);
    let numbered = events.into_iter().enumerate().map(|(number, mut event)| {
        event["sequence_number"] = json!(number);
        let name = event["type"].as_str().unwrap_or_default();
        now(format!("event: {name}\ndata: {event}\n\n"))
    });
    Answer::events(numbered.collect::<Vec<_>>().into_iter()).header("x-request-id", "req_demo")
}

fn data(event: &Value) -> Bytes {
    format!("data: {event}\n\n").into()
}

pub(super) fn models() -> Answer {
    let model = json!({"id": MODEL, "object": "model", "created": CREATED, "owned_by": "leeward"});
    Answer::json(200, &json!({"object": "list", "data": [model]}))
}
