//! What each kind of agent expects: errors as bodies, errors as events, and pings. Decides no error's meaning.

use super::meaning::Meaning;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

/// How a client expects errors and pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `{"type":"error","error":{…}}`
    Anthropic,
    /// `{"error":{"message",…}}`
    OpenAi,
    /// `{"error":{"code","message","status"}}`
    Gemini,
    /// `{"message"}`
    Bedrock,
    /// `{"error":"…"}`
    Ollama,
}

impl Dialect {
    /// What keeps a client waiting between two events and means nothing: an event where the dialect has one for it, else a
    /// comment. Libraries for Gemini expect `data:` in every line (some stop at a comment, some read it as JSON), and take an
    /// object without candidates for nothing.
    pub(crate) fn ping(self) -> Bytes {
        match self {
            Self::Anthropic => Bytes::from_static(b"event: ping\ndata: {\"type\": \"ping\"}\n\n"),
            Self::Gemini => Bytes::from_static(b"data: {}\n\n"),
            // The last two have no events of text: only their compatible paths do.
            Self::OpenAi | Self::Bedrock | Self::Ollama => Bytes::from_static(b": ping\n\n"),
        }
    }

    /// An error's body as the event that ends a stream; a body that is no JSON object is replaced by one.
    pub(crate) fn error_event(self, status: StatusCode, body: &[u8]) -> Bytes {
        let object = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
        let meaning = || Meaning::new(status.as_u16(), "declined", true, format!("The API's edge answered {status}."));
        let text = object.map_or_else(|| self.error(&meaning()), |o| o.to_string());
        match self {
            Self::Anthropic => format!("event: error\ndata: {text}\n\n").into(),
            Self::OpenAi | Self::Gemini | Self::Bedrock | Self::Ollama => format!("data: {text}\n\n").into(),
        }
    }

    /// An error's body.
    pub(crate) fn error(self, meaning: &Meaning) -> String {
        let Meaning { status, code, sentence, .. } = meaning;
        match self {
        Dialect::Anthropic => {
            let kind = match status.as_u16() {
                400 | 405 | 408 | 421 => "invalid_request_error",
                401 => "authentication_error",
                403 => "permission_error",
                404 => "not_found_error",
                413 => "request_too_large",
                504 => "timeout_error",
                // Never `overloaded_error`: after three of those Claude Code gives up, and says what is not true.
                _ => "api_error",
            };
            json!({ "type": "error", "error": { "type": kind, "message": format!("Leeward: {sentence}") }, "request_id": null })
        }
        Dialect::OpenAi => {
            let kind = if status.is_client_error() { "invalid_request_error" } else { "server_error" };
            json!({ "error": { "message": format!("Leeward: {sentence}"), "type": kind, "param": null, "code": code } })
        }
        Dialect::Gemini => {
            let kind = match status.as_u16() {
                401 => "UNAUTHENTICATED",
                403 => "PERMISSION_DENIED",
                404 => "NOT_FOUND",
                500 | 501 | 508 => "INTERNAL",
                502 | 503 => "UNAVAILABLE",
                504 => "DEADLINE_EXCEEDED",
                _ => "INVALID_ARGUMENT",
            };
            json!({ "error": { "code": status.as_u16(), "message": format!("Leeward: {sentence}"), "status": kind } })
        }
        Dialect::Bedrock => json!({ "message": format!("Leeward: {sentence}") }),
        Dialect::Ollama => json!({ "error": format!("Leeward: {sentence}") }),
    }
    .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_one_event_that_its_clients_can_read() {
        for (dialect, wanted) in [
            (Dialect::Anthropic, "event: ping\ndata: {\"type\": \"ping\"}\n\n"),
            (Dialect::OpenAi, ": ping\n\n"),
            (Dialect::Gemini, "data: {}\n\n"),
        ] {
            assert_eq!(dialect.ping(), wanted);
        }
    }

    #[test]
    fn an_error_event_is_one_event_of_the_dialect() {
        for dialect in [Dialect::Anthropic, Dialect::OpenAi, Dialect::Gemini] {
            for body in ["{\"error\":\n{\"type\":\"overloaded_error\"}}", "<html>\n\n</html>", ""] {
                let event = dialect.error_event(StatusCode::BAD_GATEWAY, body.as_bytes());
                let text = std::str::from_utf8(&event).unwrap();
                assert!(text.ends_with("\n\n") && text.matches("\n\n").count() == 1, "{text}");
                let data = text.lines().find_map(|l| l.strip_prefix("data: ")).unwrap();
                assert!(serde_json::from_str::<Value>(data).unwrap()["error"].is_object(), "{text}");
            }
        }
    }
}
