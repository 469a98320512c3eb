//! One value of a text, whatever its form: looked up, set, taken out. What is set can be taken out to the byte, or it is not set.

use super::{
    json,
    key::{Change, Form, Key, Made, Trouble},
    lines, toml_text,
};

/// What editors on Windows put before the first character.
const MARK: char = '\u{feff}';

/// A file's text without its byte order mark, and whether it has one.
pub(super) fn decoded(bytes: &[u8]) -> Result<(&str, bool), Trouble> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = super::key::line_of(&String::from_utf8_lossy(&bytes[..e.valid_up_to()]), e.valid_up_to());
        Trouble { line: Some(line), why: "it is not UTF-8".into() }
    })?;
    Ok(text.strip_prefix(MARK).map_or((text, false), |rest| (rest, true)))
}

/// The bytes of a file.
pub(super) fn encoded(text: &str, marked: bool) -> Vec<u8> {
    let mark = if marked { MARK.to_string() } else { String::new() };
    (mark + text).into_bytes()
}

/// The value, if there is one.
pub(super) fn value(form: Form, text: &str, key: &Key) -> Result<Option<String>, Trouble> {
    match form {
        Form::Json => json::value(text, key),
        Form::Toml => toml_text::value(text, key),
        Form::Env => lines::value(text, key),
        Form::Shell => lines::block(text),
    }
}

/// Sets a value.
pub(super) fn set(form: Form, text: &str, key: &Key, wanted: &str) -> Result<Change, Trouble> {
    let change = match form {
        Form::Json => json::set(text, key, wanted),
        Form::Toml => toml_text::set(text, key, wanted),
        Form::Env => lines::set(text, key, wanted),
        Form::Shell => lines::set_block(text, wanted),
    }?;
    let is_there = value(form, &change.text, key).is_ok_and(|found| found.as_deref() == Some(wanted));
    let back = restore(form, &change.text, key, change.former.as_deref());
    let back = back.and_then(|text| clear(form, text, &change.made));
    if !is_there || back.as_deref() != Ok(text) {
        let why = format!("`{key}` cannot be set in it so that it can be taken out again to the byte");
        return Err(Trouble { line: None, why });
    }
    Ok(change)
}

/// Puts a former value back; without one, takes the value out.
pub(super) fn restore(form: Form, text: &str, key: &Key, former: Option<&str>) -> Result<String, Trouble> {
    match form {
        Form::Json => json::restore(text, key, former),
        Form::Toml => toml_text::restore(text, key, former),
        Form::Env => lines::restore(text, key, former),
        Form::Shell => lines::restore_block(text, former),
    }
}

/// Takes out the containers that were made and have nothing in them any more, the deepest first.
pub(super) fn clear(form: Form, text: String, made: &[Made]) -> Result<String, Trouble> {
    let mut made: Vec<&Made> = made.iter().filter(|_| form == Form::Json).collect();
    made.sort_by_key(|made| std::cmp::Reverse(made.path.len()));
    made.into_iter().try_fold(text, |text, made| json::clear(&text, made))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_kept_and_what_is_no_text_is_refused() {
        let (text, marked) = decoded("\u{feff}{}".as_bytes()).unwrap();
        assert_eq!((text, marked), ("{}", true));
        assert_eq!(encoded(text, marked), "\u{feff}{}".as_bytes());
        assert_eq!(decoded(b"a\nb\n\xff").unwrap_err().line, Some(3));
        // PowerShell 5 writes profiles like that.
        assert!(decoded(b"\xff\xfea\0").is_err());
    }

    #[test]
    fn what_could_not_be_taken_out_again_is_not_set() {
        // The last line before the table looks like a comment and is a text's.
        let tricky = "a = \"\"\"\nx\n#\"\"\"\n[t]\n";
        assert!(set(Form::Toml, tricky, &Key::of(&["k"]), "v").is_err());
    }
}
