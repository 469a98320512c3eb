//! `generateContent` and `streamGenerateContent`, the latter as events (`?alt=sse`) or as one JSON array.

use super::{Answer, now, words};
use serde_json::{Value, json};

fn part(text: &str, finish: Option<&str>, words: usize) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    let usage = json!({"promptTokenCount": 8, "candidatesTokenCount": words, "totalTokenCount": 8 + words});
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-demo", "responseId": "demo"})
}

pub(super) fn whole(question: &Value) -> Answer {
    let words = words(question);
    Answer::json(200, &part(&words.concat(), Some("STOP"), words.len()))
}

pub(super) fn stream(question: &Value, events: bool) -> Answer {
    let words = words(question);
    let last = words.len() - 1;
    let parts = words.iter().enumerate().map(|(i, word)| part(word, (i == last).then_some("STOP"), i + 1));
    let parts: Vec<Value> = parts.collect();
    if events {
        return Answer::events(parts.into_iter().map(|p| now(format!("data: {p}\r\n\r\n"))));
    }
    Answer::json(200, &Value::Array(parts))
}
