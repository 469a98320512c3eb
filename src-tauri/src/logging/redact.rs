//! Takes secrets out of a line of text. Errs on the side of taking too much; never fails, never blocks.

use regex::bytes::{Regex, RegexBuilder};
use std::borrow::Cow;

/// What stands where a secret stood.
const MARK: &[u8] = b"${1}[redacted]";

/// Patterns of secrets. Group 1, where there is one, is kept: it says what was taken out.
const PATTERNS: &[&str] = &[
    // Headers that carry credentials, as JSON or Rust's Debug show them: the value ends with its quote.
    r#"((?:authorization|x-api-key|api-key|x-goog-api-key|cookie2?|x-[a-z-]*token)\\*["']?\s*[:=,]\s*b?\\*")[^"\r\n]*"#,
    // The same as `name: value` or `name=value`: anything may follow a blank, so the rest of the line goes.
    r#"((?:authorization|x-api-key|api-key|x-goog-api-key|cookie2?|x-[a-z-]*token)\\*["']?\s*[:=]\s*)[^\s"\\][^\r\n]*"#,
    // Fields of OAuth responses and settings files.
    r#"("(?:[a-z]+_?)?(?:token|api_?key|secret|password)\\*"\s*:\s*\\*")[^"\r\n]*"#,
    // Exported variables: ANTHROPIC_API_KEY=…
    r#"(\b[a-z0-9_]*(?:_api_key|_token|_secret|_password)=)[^\s]+"#,
    // Schemes of the Authorization header, wherever they stand.
    r"(\bbearer\s+)[a-z0-9._~+/=-]{6,}",
    r"(\bbasic\s+)[a-z0-9+/=]{16,}",
    // Keys with a maker's prefix.
    r"()\bsk-[a-z0-9_-]{8,}",
    r"()\b(?:gsk|xai|ghp|gho|ghu|ghs|ghr|github_pat|hf|nvapi|pplx)[_-][a-z0-9_-]{16,}",
    r"()\bAIza[a-z0-9_-]{20,}",
    r"()\bya29\.[a-z0-9_.-]{16,}",
    r"()\bAKIA[a-z0-9]{16}\b",
    // Signed tokens: base64 of `{"`, a dot, more of it.
    r"()\beyJ[a-z0-9_-]{6,}\.[a-z0-9_-]+(?:\.[a-z0-9_-]*)?",
    // Query values.
    r#"([?&;](?:key|api[_-]?key|[a-z_]*token|code|secret|client_secret|password|sig|signature)=)[^&\s"'#]+"#,
    // Name and password of a URL: `http://leeward:TOKEN@127.0.0.1`.
    r#"(://)[^/\s@"']+@"#,
    // The control token, and any other long run of hexadecimal digits.
    r"()\b[0-9a-f]{32,}\b",
];

/// The patterns, ready to use.
#[derive(Debug)]
pub struct Redactor(Vec<Regex>);

impl Redactor {
    /// Makes the patterns ready; about a millisecond, so once a log and not once a line.
    ///
    /// # Errors
    /// Never with the patterns of this file; the test beside them would say so.
    pub fn new() -> Result<Self, regex::Error> {
        let compile = |p: &&str| RegexBuilder::new(p).unicode(false).case_insensitive(true).build();
        PATTERNS.iter().map(compile).collect::<Result<_, _>>().map(Self)
    }

    /// The text without its secrets.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.redact_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// The same for bytes that need not be UTF-8.
    pub fn redact_bytes<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut text = Cow::Borrowed(text);
        for pattern in &self.0 {
            if let Cow::Owned(shorter) = pattern.replace_all(&text, MARK) {
                text = Cow::Owned(shorter);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let hex = "0123456789abcdef".repeat(4);
        let table = [
            // Headers, in every shape a log line may show them.
            ("authorization: Bearer abc.def-123", "authorization: [redacted]"),
            ("Authorization: Basic dXNlcjpwYXNzd29yZA==\nnext line", "Authorization: [redacted]\nnext line"),
            ("proxy-authorization: x", "proxy-authorization: [redacted]"),
            ("X-Api-Key:planted", "X-Api-Key:[redacted]"),
            ("api-key=planted", "api-key=[redacted]"),
            ("x-goog-api-key: planted", "x-goog-api-key: [redacted]"),
            ("set-cookie: a=b; c=d; HttpOnly", "set-cookie: [redacted]"),
            ("x-leeward-token: planted", "x-leeward-token: [redacted]"),
            (r#"{"authorization": "Bearer planted", "host": "a"}"#, r#"{"authorization": "[redacted]", "host": "a"}"#),
            (r#"("x-api-key", "planted"), ("host", "a")"#, r#"("x-api-key", "[redacted]"), ("host", "a")"#),
            (r#""cookie": b"a=planted""#, r#""cookie": [redacted]"#),
            (r#"body=\"{\\\"x-api-key\\\":\\\"planted\\\"}\""#, r#"body=\"{\\\"x-api-key\\\":\\\"[redacted]"}\""#),
            // Files and variables.
            (r#"{"access_token":"planted","expires":1}"#, r#"{"access_token":"[redacted]","expires":1}"#),
            (r#"{"apiKey": "planted"}"#, r#"{"apiKey": "[redacted]"}"#),
            ("ANTHROPIC_API_KEY=planted LANG=C", "ANTHROPIC_API_KEY=[redacted] LANG=C"),
            ("ANTHROPIC_AUTH_TOKEN=planted", "ANTHROPIC_AUTH_TOKEN=[redacted]"),
            // Values by their own look.
            ("said Bearer planted_token twice", "said Bearer [redacted] twice"),
            ("key sk-ant-api03-abc_DEF-123 end", "key [redacted] end"),
            ("key sk-proj-12345678 end", "key [redacted] end"),
            ("gsk_0123456789abcdefABCD", "[redacted]"),
            ("AIzaSyA0123456789_-abcdefghijklm", "[redacted]"),
            ("eyJhbGciOi.eyJzdWIiOiIx.c2ln", "[redacted]"),
            // URLs.
            ("GET /v1beta/models?alt=sse&key=planted HTTP/1.1", "GET /v1beta/models?alt=sse&key=[redacted] HTTP/1.1"),
            ("/cb?code=planted&state=1", "/cb?code=[redacted]&state=1"),
            ("http://leeward:planted@127.0.0.1:8787/", "http://[redacted]127.0.0.1:8787/"),
            (&hex, "[redacted]"),
        ];
        let redactor = Redactor::new().unwrap();
        for (line, wanted) in table {
            assert_eq!(redactor.redact(line), wanted, "{line}");
        }
    }

    #[test]
    fn ordinary_lines_stay_as_they_are() {
        let redactor = Redactor::new().unwrap();
        for line in [
            "accepting on 127.0.0.1:8787, generation 3",
            "cannot use the control token /home/u/.local/state/leeward/control.token: Permission denied (os error 13)",
            "api.anthropic.com: connection reset; 2 of 2 replays spent, task-runner disk-cache ok",
            "input_tokens=12 max_tokens: 4096",
            "request 6f1c2a3b-0d4e-4f5a-8b6c-7d8e9f0a1b2c, model claude-sonnet-4-5",
            "the upstream asks for basic authorization",
            "ünïcödé: grün",
        ] {
            assert!(matches!(redactor.redact(line), Cow::Borrowed(_)), "{line} became {}", redactor.redact(line));
        }
    }

    #[test]
    fn bytes_that_are_no_text_pass() {
        let redactor = Redactor::new().unwrap();
        assert_eq!(&*redactor.redact_bytes(b"\xff\xfe x-api-key: \xc3 secret\n\xff"), b"\xff\xfe x-api-key: [redacted]\n\xff");
    }
}
