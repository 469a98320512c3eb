//! What the soak's agents ask, and what the right answer is: known from an upstream without faults. Sends nothing itself.

use bytes::Bytes;
use scripted::{Plan, Upstream};
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc};

/// Sizes of the large downloads, in bytes; none is near a limit of Leeward's.
const DOWNLOADS: [u64; 4] = [0, 3_000, 300_000, 3_000_000];
/// Words of a response.
const WORDS: [u64; 4] = [1, 7, 60, 400];

/// What the upstream answers to a body that is too large for it to understand, whatever was asked.
pub const OVERSIZE: What = What::Gemini { stream: false, words: 24 };

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    Messages {
        stream: bool,
        words: u64,
    },
    Chat {
        stream: bool,
        words: u64,
    },
    Responses {
        stream: bool,
        words: u64,
    },
    Gemini {
        stream: bool,
        words: u64,
    },
    CountTokens,
    Models,
    Hello,
    Download(u64),
    /// Told back what came: never sent twice.
    Echo,
}

/// How often it may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Safe,
    Inference,
    Once,
}

/// A response as the upstream gives it.
#[derive(Clone, Debug, Default)]
pub struct Right {
    pub body: Bytes,
    /// Where each event ends, in a stream.
    pub events: Vec<usize>,
}

/// The right answers, all of them.
pub type Answers = Arc<HashMap<What, Right>>;

impl What {
    /// Draws one.
    pub fn draw(dice: &mut fastrand::Rng) -> Self {
        let (stream, words) = (dice.u8(0..3) > 0, WORDS[dice.usize(0..WORDS.len())]);
        match dice.u8(0..100) {
            0..35 => Self::Messages { stream, words },
            35..47 => Self::Chat { stream, words },
            47..59 => Self::Responses { stream, words },
            59..70 => Self::Gemini { stream, words },
            70..74 => Self::CountTokens,
            74..78 => Self::Models,
            78..82 => Self::Hello,
            82..88 => Self::Download(DOWNLOADS[dice.usize(0..DOWNLOADS.len())]),
            _ => Self::Echo,
        }
    }

    fn all() -> Vec<Self> {
        let mut all = vec![Self::Models, Self::Hello, OVERSIZE];
        all.extend(DOWNLOADS.map(Self::Download));
        for words in WORDS {
            for stream in [false, true] {
                all.extend([
                    Self::Messages { stream, words },
                    Self::Chat { stream, words },
                    Self::Responses { stream, words },
                    Self::Gemini { stream, words },
                ]);
            }
        }
        all
    }

    pub fn method(self) -> reqwest::Method {
        match self {
            Self::Models | Self::Download(_) => reqwest::Method::GET,
            Self::Hello => reqwest::Method::HEAD,
            _ => reqwest::Method::POST,
        }
    }

    pub fn path(self) -> String {
        match self {
            Self::Messages { .. } => "/v1/messages?beta=true".into(),
            Self::Chat { .. } => "/v1/chat/completions".into(),
            Self::Responses { .. } => "/v1/responses".into(),
            Self::Gemini { stream: false, .. } => "/v1beta/models/gemini-demo:generateContent".into(),
            Self::Gemini { stream: true, .. } => "/v1beta/models/gemini-demo:streamGenerateContent?alt=sse".into(),
            Self::CountTokens => "/v1/messages/count_tokens".into(),
            Self::Models => "/v1/models".into(),
            Self::Hello => "/api/hello".into(),
            Self::Download(bytes) => format!("/bytes/{bytes}"),
            Self::Echo => "/echo".into(),
        }
    }

    pub fn kind(self) -> Kind {
        match self {
            Self::Models | Self::Hello | Self::Download(_) => Kind::Safe,
            Self::Echo => Kind::Once,
            _ => Kind::Inference,
        }
    }

    /// A question with `padding` bytes of text; `None` where no body is sent.
    pub fn body(self, padding: usize) -> Option<Bytes> {
        let text = || "lee ".repeat(padding.div_ceil(4));
        let value = match self {
            Self::Models | Self::Hello | Self::Download(_) => return None,
            Self::Echo => return Some(text().into()),
            Self::Messages { stream, words } => {
                json!({"model": "m", "max_tokens": words, "stream": stream, "messages": [{"role": "user", "content": text()}]})
            }
            Self::CountTokens => json!({"model": "m", "messages": [{"role": "user", "content": text()}]}),
            Self::Chat { stream, words } => {
                json!({"model": "m", "max_completion_tokens": words, "stream": stream, "messages": [{"role": "user", "content": text()}]})
            }
            Self::Responses { stream, words } => {
                json!({"model": "m", "max_output_tokens": words, "stream": stream, "input": text()})
            }
            Self::Gemini { words, .. } => {
                json!({"generationConfig": {"maxOutputTokens": words}, "contents": [{"parts": [{"text": text()}]}]})
            }
        };
        Some(value.to_string().into())
    }

    pub fn is_stream(self) -> bool {
        matches!(
            self,
            Self::Messages { stream: true, .. }
                | Self::Chat { stream: true, .. }
                | Self::Responses { stream: true, .. }
                | Self::Gemini { stream: true, .. }
        )
    }

    /// Events of a stream that announce content and hold none.
    pub fn preamble(self) -> usize {
        match self {
            Self::Messages { .. } => 3,
            Self::Responses { .. } => 4,
            Self::Chat { .. } => 1,
            _ => 0,
        }
    }

    /// True when this is the right answer to a body of that length and hash.
    pub fn is_right(self, answers: &Answers, got: &[u8], sent: usize, sha256: &str) -> bool {
        match self {
            Self::Echo => serde_json::from_slice::<Value>(got)
                .is_ok_and(|told| told["body"]["sha256"] == sha256 && told["body"]["length"] == sent),
            Self::CountTokens => serde_json::from_slice::<Value>(got).is_ok_and(|told| told["input_tokens"] == sent / 4),
            // A carriage return alone ends a line of events as well.
            _ => answers
                .get(&self)
                .is_some_and(|right| right.body == got || (got.ends_with(b"\r\n\r") && right.body[..] == [got, b"\n"].concat())),
        }
    }
}

/// Asks an upstream without faults for everything that has a fixed answer.
pub async fn answers() -> Answers {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(60)).build().unwrap();
    let mut answers = HashMap::new();
    for what in What::all() {
        let url = format!("http://{}{}", upstream.address(), what.path());
        let mut request = client.request(what.method(), url);
        if let Some(body) = what.body(4) {
            request = request.body(body);
        }
        let body = request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
        let blank: &[u8] = if matches!(what, What::Gemini { .. }) { b"\r\n\r\n" } else { b"\n\n" };
        let ends = memchr::memmem::find_iter(&body, blank).map(|at| at + blank.len());
        let events = if what.is_stream() { ends.collect() } else { Vec::new() };
        answers.insert(what, Right { body, events });
    }
    upstream.stop().await;
    Arc::new(answers)
}
