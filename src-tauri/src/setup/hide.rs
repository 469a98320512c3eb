//! Takes secrets out of the lines of a settings file before they are shown. Errs on the side of taking too much.

use crate::logging::Redactor;
use regex::bytes::{Regex, RegexBuilder};

/// Members, list entries and variables whose names say that their values are secret.
const NAMED: [&str; 3] = [
    r#"("[^"\r\n]*(?:token|key|secret|password|credential|auth)[^"\r\n]*"\s*:\s*)"(?:[^"\\\r\n]|\\.)*""#,
    r#"("name"\s*:\s*"[^"\r\n]*(?:token|key|secret|password|credential|auth)[^"\r\n]*"\s*,\s*"value"\s*:\s*)"(?:[^"\\\r\n]|\\.)*""#,
    r#"^(\s*(?:export\s+|set\s+-\S+\s+|\$env:)?[\w.-]*(?:token|key|secret|password|credential|auth)[\w.-]*(?:\s*=\s*|\s+)).+"#,
];
/// A list's value, whose name may stand on another line.
const VALUE: &str = r#"("value"\s*:\s*)"(?:[^"\\\r\n]|\\.)*""#;

/// The patterns, ready to use.
#[derive(Debug)]
pub(super) struct Hide {
    log: Redactor,
    named: Vec<Regex>,
    value: Regex,
}

impl Hide {
    /// `None` never, with the patterns of this file; the test beside them would say so.
    pub(super) fn new() -> Option<Self> {
        let compile = |pattern: &str| RegexBuilder::new(pattern).unicode(false).case_insensitive(true).build().ok();
        let named = NAMED.iter().map(|pattern| compile(pattern)).collect::<Option<_>>()?;
        Some(Self { log: Redactor::new().ok()?, named, value: compile(VALUE)? })
    }

    /// A line without its secrets; `stays` for one that the change does not touch.
    pub(super) fn line(&self, line: &str, stays: bool) -> String {
        let mut bytes = line.as_bytes().to_vec();
        for (pattern, with) in self.named.iter().zip(["${1}\"[redacted]\"", "${1}\"[redacted]\"", "${1}[redacted]"]) {
            bytes = pattern.replace_all(&bytes, with.as_bytes()).into_owned();
        }
        if stays {
            bytes = self.value.replace_all(&bytes, b"${1}\"[redacted]\"".as_slice()).into_owned();
        }
        self.log.redact(&String::from_utf8_lossy(&bytes)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_a_settings_file_is_shown() {
        let hide = Hide::new().unwrap();
        for line in [
            "    \"ANTHROPIC_AUTH_TOKEN\": \"hush \\\" hush\",",
            "{\"env\":{\"A\":\"1\",\"MY_API_KEY\":\"hush\"},\"model\":\"opus\"}",
            "  { \"name\": \"X_SECRET\", \"value\": \"hush\" }",
            "      \"value\": \"hush\"",
            "GEMINI_API_KEY=hush # mine",
            "export OPENAI_KEY='hush'",
            "set -gx OPENAI_API_KEY hush",
            "$env:OPENAI_API_KEY = 'hush'",
            "experimental_bearer_token = \"hush\"",
            "base_url = \"https://me:hush@gate.corp/v1\"",
        ] {
            let shown = hide.line(line, true);
            assert!(!shown.contains("hush") && shown.contains("[redacted]"), "{line}: {shown}");
        }
        for (line, stays) in [
            ("    \"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:8787\"", false),
            ("  { \"name\": \"ANTHROPIC_BASE_URL\", \"value\": \"http://127.0.0.1:8787\" },", false),
            ("export ANTHROPIC_BASE_URL=http://127.0.0.1:8787", false),
            ("openai_base_url = \"http://127.0.0.1:8787/@openai/v1\"", true),
            ("  \"model\": \"opus\"", true),
        ] {
            assert_eq!(hide.line(line, stays), line);
        }
    }
}
