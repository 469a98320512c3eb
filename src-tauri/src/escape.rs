//! Foreign text that cannot command a terminal: control characters, and those that turn the direction of what follows,
//! become visible. Knows nothing of what a text says.

use std::borrow::Cow;

/// More of a foreign text is of no use to a reader.
const LONGEST: usize = 400;

/// What a certificate, an upstream, a file or another program says, as part of a sentence: one line, and not too long.
pub fn foreign(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Cow::Owned(format!("{}…", line(&text[..end]))),
        None => line(text),
    }
}

/// A sentence of one line.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false, in_text)
}

/// Text on its way out; lines and tabs stay what they are.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'), in_text)
}

/// JSON on its way out, which says the same afterwards: such characters stand in its strings alone.
pub fn json(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'), |c| format!("\\u{:04x}", u32::from(c)))
}

/// The same for bytes: what is not UTF-8 may be a control character of eight bits, so it becomes visible as well.
pub fn bytes(text: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(text) {
        Ok(text) => match lines(text) {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        },
        Err(_) => Cow::Owned(lines(&String::from_utf8_lossy(text)).into_owned().into_bytes()),
    }
}

/// A sentence for people, without the system's error numbers: they are for the log. Windows ends its texts with a full stop.
pub fn plain(text: &str) -> Cow<'_, str> {
    const NUMBER: &str = " (os error ";
    if !text.contains(NUMBER) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(NUMBER);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.truncate(out.trim_end_matches('.').len());
        let rest = part.trim_start_matches(|c: char| c == '-' || c.is_ascii_digit());
        out.push_str(rest.strip_prefix(')').unwrap_or(rest));
    }
    Cow::Owned(out)
}

fn in_text(c: char) -> String {
    match c {
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        _ => format!("\\u{{{:x}}}", u32::from(c)),
    }
}

fn escaped(text: &str, stays: impl Fn(char) -> bool, shown: impl Fn(char) -> String) -> Cow<'_, str> {
    let commands = |c: char| !stays(c) && is_command(c);
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if commands(c) { out.push_str(&shown(c)) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// C0, DEL and C1; what turns the direction or ends a line in some eyes only.
fn is_command(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sequence_stays_one() {
        for (text, in_sentence, on_its_way_out) in [
            ("plain, «Größe», 漢字, 👩‍💻", "plain, «Größe», 漢字, 👩‍💻", "plain, «Größe», 漢字, 👩‍💻"),
            ("\x1b]0;OWNED\x07", "\\u{1b}]0;OWNED\\u{7}", "\\u{1b}]0;OWNED\\u{7}"),
            ("\x1b[2J\x1b[31m", "\\u{1b}[2J\\u{1b}[31m", "\\u{1b}[2J\\u{1b}[31m"),
            ("\u{9b}2J\u{9d}0;x\u{9c}\u{90}", "\\u{9b}2J\\u{9d}0;x\\u{9c}\\u{90}", "\\u{9b}2J\\u{9d}0;x\\u{9c}\\u{90}"),
            ("a\u{8}\u{7f}\0", "a\\u{8}\\u{7f}\\u{0}", "a\\u{8}\\u{7f}\\u{0}"),
            ("a\rb", "a\\rb", "a\\rb"),
            ("a\n\tb", "a\\n\\tb", "a\n\tb"),
            ("\u{202e}evil\u{202c}", "\\u{202e}evil\\u{202c}", "\\u{202e}evil\\u{202c}"),
            ("\u{2066}x\u{2069}\u{200f}\u{61c}", "\\u{2066}x\\u{2069}\\u{200f}\\u{61c}", "\\u{2066}x\\u{2069}\\u{200f}\\u{61c}"),
            ("a\u{2028}b\u{85}", "a\\u{2028}b\\u{85}", "a\\u{2028}b\\u{85}"),
        ] {
            assert_eq!((&*line(text), &*lines(text)), (in_sentence, on_its_way_out), "{text:?}");
            assert_eq!(&*bytes(text.as_bytes()), on_its_way_out.as_bytes(), "{text:?}");
            // What is escaped is not escaped again on its way out.
            assert_eq!(lines(&line(text)), line(text), "{text:?}");
            let said = serde_json::Value::from(text).to_string();
            assert_eq!(serde_json::from_str::<String>(&json(&said)).unwrap(), text, "JSON says the same");
            assert!(!json(&said).contains(is_command), "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_pass_as_control_characters() {
        let out = bytes(b"log \x9b2J\x1b[2J\n");
        assert_eq!(std::str::from_utf8(&out).unwrap(), "log \u{fffd}2J\\u{1b}[2J\n");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let out = foreign(&"ä".repeat(LONGEST + 1)).into_owned();
        assert_eq!((out.chars().count(), out.ends_with('…')), (LONGEST + 1, true));
        assert_eq!(foreign(&"ä".repeat(LONGEST)).chars().count(), LONGEST);
    }
}
