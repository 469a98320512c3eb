//! Sets and takes out one `NAME=value` line of an `.env` file, and one marked block of a shell's profile. Reads and writes no
//! file.

use super::key::{Change, Key, Step, Trouble, line_end, replaced, with_lines, without_lines};
use std::ops::Range;

const BEGIN: &str = "# >>> leeward setup >>>";
const END: &str = "# <<< leeward setup <<<";

/// The value of a line, without its quotes.
pub(super) fn value(text: &str, key: &Key) -> Result<Option<String>, Trouble> {
    Ok(find(text, key)?.map(|found| {
        let value = text[found].trim();
        let quoted = ['"', '\'', '`'].iter().find_map(|q| value.strip_prefix(*q)?.split_once(*q).map(|(inside, _)| inside));
        quoted.unwrap_or_else(|| value.split(" #").next().unwrap_or_default().trim()).to_owned()
    }))
}

/// Sets the value.
pub(super) fn set(text: &str, key: &Key, value: &str) -> Result<Change, Trouble> {
    let (former, text) = match find(text, key)? {
        Some(found) => (Some(text[found.clone()].to_owned()), replaced(text, found, value)),
        None => (None, with_lines(text, &format!("{}={value}", name(key)))),
    };
    Ok(Change { text, former, made: Vec::new() })
}

/// Puts a former value back; without one, takes the line out.
pub(super) fn restore(text: &str, key: &Key, former: Option<&str>) -> Result<String, Trouble> {
    Ok(match (find(text, key)?, former) {
        (None, _) => text.to_owned(),
        (Some(found), Some(former)) => replaced(text, found, former),
        (Some(found), None) => {
            let start = text[..found.start].rfind('\n').map_or(0, |at| at + 1);
            without_lines(text, start..found.end)
        }
    })
}

fn name(key: &Key) -> &str {
    match key.0.first() {
        Some(Step::Member(name) | Step::Named(name)) => name,
        None => "",
    }
}

/// The bytes after the `=`. A value in quotes may go over several lines.
fn find(text: &str, key: &Key) -> Result<Option<Range<usize>>, Trouble> {
    let name = name(key);
    let (mut start, mut open, mut found) = (0, None, None);
    for line in text.split_inclusive('\n') {
        let (at, next) = (start, start + line.len());
        start = next;
        if let Some(quote) = open {
            if line.contains(quote) {
                open = None;
            }
            continue;
        }
        let bare = line.trim_end_matches(['\n', '\r']);
        let Some((left, right)) = bare.split_once('=').filter(|_| !bare.trim_start().starts_with('#')) else { continue };
        let value = right.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
        open = quote.filter(|quote| !value[1..].contains(*quote));
        if left.trim().strip_prefix("export ").unwrap_or(left).trim() != name {
            continue;
        }
        if open.is_some() {
            return Err(Trouble::at(text, at, format!("the value of `{name}` goes over several lines")));
        }
        let value = at + left.len() + 1..at + bare.len();
        if let Some(Range { start: first, .. }) = found.replace(value) {
            let first = super::key::line_of(text, first);
            return Err(Trouble::at(
                text,
                at,
                format!("`{name}` stands there twice, the first time in line {first}; leave one of them"),
            ));
        }
    }
    Ok(found)
}

/// What stands between the marks, line ends as `\n`.
pub(super) fn block(text: &str) -> Result<Option<String>, Trouble> {
    let Some(found) = find_block(text)? else { return Ok(None) };
    let lines: Vec<&str> = text[found].lines().collect();
    Ok(Some(lines[1..lines.len() - 1].join("\n")))
}

/// Sets what stands between the marks.
pub(super) fn set_block(text: &str, inner: &str) -> Result<Change, Trouble> {
    let lines = format!("{BEGIN}\n{inner}\n{END}");
    let (former, text) = match find_block(text)? {
        Some(found) => (block(text)?, replaced(text, found, &lines.replace('\n', line_end(text)))),
        None => (None, with_lines(text, &lines)),
    };
    Ok(Change { text, former, made: Vec::new() })
}

/// Takes the block out.
pub(super) fn restore_block(text: &str, former: Option<&str>) -> Result<String, Trouble> {
    Ok(match (find_block(text)?, former) {
        (None, _) => text.to_owned(),
        (Some(_), Some(former)) => set_block(text, former)?.text,
        (Some(found), None) => without_lines(text, found),
    })
}

/// From the first byte of the first mark to the last one of the second.
fn find_block(text: &str) -> Result<Option<Range<usize>>, Trouble> {
    let marks = |mark: &str| {
        let mut start = 0;
        let mut found = Vec::new();
        for line in text.split_inclusive('\n') {
            if line.trim() == mark {
                found.push(start..start + line.trim_end().len());
            }
            start += line.len();
        }
        found
    };
    match (marks(BEGIN).as_slice(), marks(END).as_slice()) {
        ([], []) => Ok(None),
        ([begin], [end]) if begin.end < end.start => Ok(Some(begin.start..end.end)),
        (begins, ends) => {
            let at = begins.iter().chain(ends).map(|mark| mark.start).min().unwrap_or_default();
            let why = format!("the marks `{BEGIN}` and `{END}` do not stand there once each, in this order");
            Err(Trouble::at(text, at, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_added_replaced_and_taken_out() {
        let key = Key::of(&["A"]);
        for (text, want, former) in [
            ("", "A=u\n", None),
            ("# c\nB=1", "# c\nB=1\nA=u", None),
            ("B=1\r\n", "B=1\r\nA=u\r\n", None),
            ("export A='x' # y\nB=1\n", "export A=u\nB=1\n", Some("'x' # y")),
            ("K=\"-----\nA=1\n\"\n", "K=\"-----\nA=1\n\"\nA=u\n", None),
            ("# A=1\nAB=2\n", "# A=1\nAB=2\nA=u\n", None),
        ] {
            let change = set(text, &key, "u").unwrap();
            assert_eq!((change.text.as_str(), change.former.as_deref()), (want, former), "{text:?}");
            assert_eq!(value(want, &key).unwrap().as_deref(), Some("u"));
            assert_eq!(restore(want, &key, former).unwrap(), text);
        }
        for (text, line) in [("A=1\nB=2\nA=3\n", 3), ("A=\"x\ny\"\n", 1)] {
            assert_eq!(set(text, &key, "u").unwrap_err().line, Some(line), "{text}");
        }
    }

    #[test]
    fn a_profile_has_one_block() {
        for text in ["", "alias a=b\n", "alias a=b", "a\r\nb\r\n"] {
            let change = set_block(text, "export A=1\nexport B=2").unwrap();
            assert_eq!(block(&change.text).unwrap().as_deref(), Some("export A=1\nexport B=2"), "{text:?}");
            let again = set_block(&change.text, "export A=3").unwrap();
            assert_eq!(again.text.matches(BEGIN).count(), 1);
            assert_eq!(restore_block(&again.text, None).unwrap(), text);
        }
        let twice = set_block("", "x").unwrap().text.repeat(2);
        assert_eq!(set_block(&twice, "y").unwrap_err().line, Some(1));
        assert_eq!(block(&format!("{BEGIN}\nx\n")).unwrap_err().line, Some(1));
    }
}
