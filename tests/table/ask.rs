//! The kinds of request that the table tells apart, and how each is put.

use crate::support::{client, message};
use leeward::config::Config;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Messages API, streamed: it thinks first, and its events come one by one.
    Messages,
    /// Messages API, whole.
    MessagesJson,
    /// Chat completions, streamed.
    Chat,
    /// Responses API, streamed.
    Responses,
    /// Gemini, streamed.
    Gemini,
    CountTokens,
    /// A safe method.
    Get,
    /// A refresh token works once.
    OAuth,
    /// Messages API, streamed; larger than what is kept for being sent again.
    Upload,
    /// Messages API, streamed, by a client that says it is retrying itself.
    Retrying,
}

/// Larger than what `Upload` may keep.
const UPLOAD: usize = 256 << 10;
/// Large enough that a reset in the middle finds bytes still unsent.
pub const LARGE: usize = 8 << 20;

impl Ask {
    pub fn is_stream(self) -> bool {
        match self {
            Self::Messages | Self::Chat | Self::Responses | Self::Gemini | Self::Upload | Self::Retrying => true,
            Self::MessagesJson | Self::CountTokens | Self::Get | Self::OAuth => false,
        }
    }

    /// The first events of the stream, which announce its content and have none.
    pub fn preamble(self) -> u64 {
        match self {
            Self::Messages | Self::Upload | Self::Retrying => 3,
            Self::Chat => 1,
            Self::Responses => 4,
            Self::Gemini | Self::MessagesJson | Self::CountTokens | Self::Get | Self::OAuth => 0,
        }
    }

    /// Whether its body is kept for being sent again.
    pub fn is_held(self) -> bool {
        self != Self::Upload
    }

    /// Whether it may be sent again although the upstream may have seen it, the client having seen nothing (U6, U8).
    pub fn may_repeat(self) -> bool {
        !matches!(self, Self::OAuth | Self::Upload)
    }

    /// Whether it may be sent again although nobody knows what became of it (U7).
    pub fn may_run_twice(self) -> bool {
        self.may_repeat() && self != Self::Retrying
    }

    pub fn tune(self, config: &mut Config) {
        if self == Self::Upload {
            config.limits.replay_body_bytes = 64 << 10;
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Messages => "v1/messages?beta=true&pause_ms=1",
            Self::MessagesJson | Self::Upload | Self::Retrying => "v1/messages",
            Self::Chat => "v1/chat/completions",
            Self::Responses => "v1/responses",
            Self::Gemini => "v1beta/models/g:streamGenerateContent?alt=sse",
            Self::CountTokens => "v1/messages/count_tokens",
            Self::Get => "v1/models",
            Self::OAuth => "v1/oauth/token",
        }
    }

    /// The request to `base`, which ends with a slash; with a body of `large` bytes or so, where it has one.
    pub fn put(self, base: &str, large: usize) -> reqwest::RequestBuilder {
        let url = format!("{base}{}", self.path());
        if self == Self::Get {
            return client().get(url);
        }
        let mut body = message(self.is_stream());
        if self == Self::Messages {
            body["thinking"] = serde_json::json!({ "type": "enabled", "budget_tokens": 1024 });
        }
        let size = if self == Self::Upload { large.max(UPLOAD) } else { large };
        body["messages"][0]["content"] = "x".repeat(size.max(5)).into();
        let request = client().post(url).json(&body);
        if self == Self::Retrying { request.header("x-stainless-retry-count", "1") } else { request }
    }
}
