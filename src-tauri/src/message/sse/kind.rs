//! What an event means for the commit window, over the dialects of all agents: by its name, else by its data. Pure.
//!
//! In doubt an event is content: then it is forwarded at once, and what follows a cut is the client's to decide.

use serde_json::Value;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Announces content and holds none: `message_start`, an empty block's start, a role without text.
    Preamble,
    /// Keeps the connection alive: `ping`, a comment.
    Ping,
    /// Something that a user may see, or that is not known.
    Content,
    /// The response's last event: `message_stop`, `[DONE]`, `response.completed`, `error`.
    Last,
}

/// Finds the kind from the event's name and as much of its data as was kept.
pub(super) fn of(name: &[u8], data: &[u8]) -> Kind {
    match (name, data) {
        (b"", b"") => Kind::Ping, // comments only
        (b"" | b"message", b"[DONE]") => Kind::Last,
        (b"" | b"message", _) => of_data(data),
        _ => of_type(name, data),
    }
}

/// As `of` for streams whose content is forwarded already: finds the last event, and everything else is content.
pub(super) fn glance(name: &[u8], data: &[u8]) -> Kind {
    let kind = match (name, data) {
        (b"", b"") => Kind::Ping,
        (b"" | b"message", b"[DONE]") => Kind::Last,
        (b"" | b"message", _) if memchr::memmem::find(data, b"\"finishReason\"").is_some() => of_data(data),
        (b"" | b"message", _) => of_beginning(data),
        (b"content_block_start", _) => Kind::Content,
        _ => of_type(name, data),
    };
    if matches!(kind, Kind::Last | Kind::Ping) { kind } else { Kind::Content }
}

fn of_type(name: &[u8], data: &[u8]) -> Kind {
    match name {
        b"ping" | b"keepalive" => Kind::Ping,
        b"message_start" | b"response.created" | b"response.queued" | b"response.in_progress" => Kind::Preamble,
        b"response.output_item.added" | b"response.content_part.added" | b"response.reasoning_summary_part.added" => {
            Kind::Preamble
        }
        b"content_block_start" if parsed(data).is_some_and(|v| is_empty_block(&v["content_block"])) => Kind::Preamble,
        b"message_stop" | b"error" | b"response.completed" | b"response.incomplete" | b"response.failed" => Kind::Last,
        _ => Kind::Content,
    }
}

/// Events without a name: their data says it in `type`, or is a chunk of a chat completion, or of Gemini's response.
fn of_data(data: &[u8]) -> Kind {
    let Some(value) = parsed(data) else { return of_beginning(data) };
    if let Some(kind) = value["type"].as_str() {
        return of_type(kind.as_bytes(), data);
    }
    if value["object"] == "chat.completion.chunk" && value["choices"].as_array().is_some_and(|all| all.iter().all(is_silent)) {
        return Kind::Preamble;
    }
    let candidates = value["candidates"].as_array();
    if candidates.is_some_and(|all| !all.is_empty() && all.iter().all(|c| c["finishReason"].is_string())) {
        return Kind::Last;
    }
    Kind::Content
}

/// Data of which only the beginning was kept: `{"type":"message_stop"` in whatever spacing.
fn of_beginning(data: &[u8]) -> Kind {
    let bare: Vec<u8> = data.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    let Some(rest) = bare.strip_prefix(br#"{"type":""#) else { return Kind::Content };
    let name = rest.split(|b| *b == b'"').next().unwrap_or_default();
    match of_type(name, b"") {
        Kind::Last => Kind::Last,
        _ => Kind::Content,
    }
}

fn parsed(data: &[u8]) -> Option<Value> {
    serde_json::from_slice(data).ok()
}

/// A block that has begun and holds nothing yet, whatever its type: text, thinking, a tool's input.
fn is_empty_block(block: &Value) -> bool {
    let empty = |v: &Value| match v {
        Value::Null => true,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    block.as_object().is_some_and(|fields| {
        fields.iter().all(|(name, value)| matches!(name.as_str(), "type" | "id" | "name" | "caller") || empty(value))
    })
}

/// A choice of a chat chunk that carries a role at most.
fn is_silent(choice: &Value) -> bool {
    let nothing = |v: &Value| v.is_null() || v.as_str() == Some("");
    nothing(&choice["finish_reason"])
        && choice["delta"].as_object().is_some_and(|delta| delta.iter().all(|(name, value)| name == "role" || nothing(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialects() {
        for (name, data, wanted) in [
            ("ping", r#"{"type": "ping"}"#, Kind::Ping),
            ("", "", Kind::Ping),
            ("message_start", r#"{"type":"message_start","message":{"content":[]}}"#, Kind::Preamble),
            ("content_block_start", r#"{"content_block":{"type":"text","text":""}}"#, Kind::Preamble),
            ("content_block_start", r#"{"content_block":{"type":"thinking","thinking":"","signature":""}}"#, Kind::Preamble),
            ("content_block_start", r#"{"content_block":{"type":"tool_use","id":"t","name":"ls","input":{}}}"#, Kind::Preamble),
            ("content_block_start", r#"{"content_block":{"type":"redacted_thinking","data":"x"}}"#, Kind::Content),
            ("content_block_start", r#"{"content_block":{"type":"text","text":"a"}}"#, Kind::Content),
            ("content_block_start", "{", Kind::Content),
            ("content_block_delta", "{}", Kind::Content),
            ("error", r#"{"type":"error"}"#, Kind::Last),
            ("message_stop", r#"{"type":"message_stop"}"#, Kind::Last),
            ("", r#"{"type":"message_stop"}"#, Kind::Last),
            ("", r#"{ "type": "response.completed", "response": {"#, Kind::Last),
            ("", r#"{"type":"message_start","message":{"#, Kind::Content),
            ("response.created", "{}", Kind::Preamble),
            ("response.output_item.added", "{}", Kind::Preamble),
            ("response.output_text.delta", "{}", Kind::Content),
            ("response.completed", "{", Kind::Last),
            ("", "[DONE]", Kind::Last),
            (
                "",
                r#"{"object":"chat.completion.chunk","choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
                Kind::Preamble,
            ),
            ("", r#"{"object":"chat.completion.chunk","choices":[{"delta":{"content":"a"}}]}"#, Kind::Content),
            ("", r#"{"object":"chat.completion.chunk","choices":[{"delta":{"tool_calls":[{}]}}]}"#, Kind::Content),
            ("", r#"{"object":"chat.completion.chunk","choices":[{"delta":{},"finish_reason":"stop"}]}"#, Kind::Content),
            ("", r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#, Kind::Content),
            ("", r#"{"candidates":[{"content":{},"finishReason":"STOP"}]}"#, Kind::Last),
            ("anything", "else", Kind::Content),
        ] {
            assert_eq!(of(name.as_bytes(), data.as_bytes()), wanted, "{name}: {data}");
            let glanced = if matches!(wanted, Kind::Last | Kind::Ping) { wanted } else { Kind::Content };
            assert_eq!(glance(name.as_bytes(), data.as_bytes()), glanced, "{name}: {data}");
        }
    }
}
