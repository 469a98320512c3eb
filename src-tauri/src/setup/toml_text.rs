//! Sets and takes out one value of a TOML text by its bytes; everything else, line ends included, stays. A key that is new can
//! only stand before the first table. Reads and writes no file.

use super::key::{Change, Key, Step, Trouble, line_end, replaced, with_lines, without_lines};
use std::ops::Range;
use toml_edit::{Document, Item, Table, TableLike};

/// A value and where it stands.
struct Found {
    /// From the key to the end of the value.
    line: Range<usize>,
    value: Range<usize>,
    text: Option<String>,
}

/// The value; what is no string is given as it is written.
pub(super) fn value(text: &str, key: &Key) -> Result<Option<String>, Trouble> {
    Ok(find(text, key)?.map(|found| found.text.unwrap_or_else(|| text[found.value].to_owned())))
}

/// Sets the value.
pub(super) fn set(text: &str, key: &Key, value: &str) -> Result<Change, Trouble> {
    let value = serde_json::Value::from(value).to_string();
    if let Some(found) = find(text, key)? {
        let former = Some(text[found.value.clone()].to_owned());
        return Ok(Change { text: replaced(text, found.value, &value), former, made: Vec::new() });
    }
    let [Step::Member(name)] = key.0.as_slice() else {
        return Err(Trouble { line: None, why: format!("it has no `{key}` whose value could be replaced") });
    };
    let line = format!("{name} = {value}");
    let text = match before_tables(text)? {
        Some(at) => replaced(text, at..at, &format!("{line}{}", line_end(text))),
        None => with_lines(text, &line),
    };
    Ok(Change { text, former: None, made: Vec::new() })
}

/// Puts a former value back; without one, takes the key out.
pub(super) fn restore(text: &str, key: &Key, former: Option<&str>) -> Result<String, Trouble> {
    Ok(match (find(text, key)?, former) {
        (None, _) => text.to_owned(),
        (Some(found), Some(former)) => replaced(text, found.value, former),
        (Some(found), None) => without_lines(text, found.line),
    })
}

fn parse(text: &str) -> Result<Document<&str>, Trouble> {
    Document::parse(text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        Trouble::at(text, at, format!("it is not valid TOML ({})", e.message()))
    })
}

fn find(text: &str, key: &Key) -> Result<Option<Found>, Trouble> {
    let document = parse(text)?;
    let mut table: &dyn TableLike = document.as_table();
    for (at, step) in key.0.iter().enumerate() {
        let Step::Member(name) = step else { return Ok(None) };
        let Some((found, item)) = table.get_key_value(name) else { return Ok(None) };
        if at + 1 < key.0.len() {
            let start = found.span().map_or(0, |span| span.start);
            table = item.as_table_like().ok_or_else(|| Trouble::at(text, start, format!("`{name}` is not a table")))?;
            continue;
        }
        let (Some(name), Some(value)) = (found.span(), item.as_value().and_then(toml_edit::Value::span)) else {
            return Err(Trouble { line: None, why: format!("`{key}` is a table") });
        };
        return Ok(Some(Found { line: name.start..value.end, value, text: item.as_str().map(str::to_owned) }));
    }
    Ok(None)
}

/// Where a line is inserted that comes before every table; `None` at the end of the text.
fn before_tables(text: &str) -> Result<Option<usize>, Trouble> {
    let Some(first) = first_table(parse(text)?.as_table()) else { return Ok(None) };
    let first = text[..first].rfind('\n').map_or(0, |at| at + 1);
    let (mut start, mut after) = (0, 0);
    for line in text[..first].split_inclusive('\n') {
        start += line.len();
        if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            after = start;
        }
    }
    Ok(Some(after))
}

/// The first byte of the first table that has a heading.
fn first_table(table: &Table) -> Option<usize> {
    let of = |item: &Item| match item {
        Item::Table(table) => {
            let own = table.span().filter(|_| !table.is_dotted() && !table.is_implicit()).map(|span| span.start);
            own.into_iter().chain(first_table(table)).min()
        }
        Item::ArrayOfTables(list) => list.iter().filter_map(|table| table.span()).map(|span| span.start).min(),
        _ => None,
    };
    table.iter().filter_map(|(_, item)| of(item)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_before_the_tables_and_goes_without_a_trace() {
        let key = Key::of(&["openai_base_url"]);
        for (text, want) in [
            ("", "openai_base_url = \"u\"\n"),
            ("# mine\n", "# mine\nopenai_base_url = \"u\"\n"),
            ("model = 'x'", "model = 'x'\nopenai_base_url = \"u\""),
            ("model = 'x' # y\n\n# about a\n[a]\nb = 1\n", "model = 'x' # y\nopenai_base_url = \"u\"\n\n# about a\n[a]\nb = 1\n"),
            ("\t[a.b]\r\nc = 1\r\n", "openai_base_url = \"u\"\r\n\t[a.b]\r\nc = 1\r\n"),
            ("a.b = 1\n[[c]]\nd = 1", "a.b = 1\nopenai_base_url = \"u\"\n[[c]]\nd = 1"),
            ("x = [\n 1, # one\n]\n[c]\n", "x = [\n 1, # one\n]\nopenai_base_url = \"u\"\n[c]\n"),
        ] {
            let change = set(text, &key, "u").unwrap();
            assert_eq!((change.text.as_str(), &change.former), (want, &None), "{text:?}");
            assert_eq!(value(want, &key).unwrap().as_deref(), Some("u"));
            assert_eq!(restore(want, &key, None).unwrap(), text);
        }
    }

    #[test]
    fn a_value_is_replaced_where_it_stands() {
        let key = Key::of(&["model_providers", "corp", "base_url"]);
        for text in [
            "[model_providers.corp]\nbase_url = 'https://gate.corp' # ours\n",
            "model_providers.corp.base_url = \"https://gate.corp\"",
            "[model_providers]\ncorp = { name = 'x', base_url = 'https://gate.corp' }\r\n",
        ] {
            let change = set(text, &key, "http://127.0.0.1:1").unwrap();
            assert_eq!(value(text, &key).unwrap().as_deref(), Some("https://gate.corp"));
            assert_eq!(value(&change.text, &key).unwrap().as_deref(), Some("http://127.0.0.1:1"));
            assert_eq!(restore(&change.text, &key, change.former.as_deref()).unwrap(), text);
        }
        let noted = "openai_base_url = \"u\" # a note of the user's\n";
        assert_eq!(restore(noted, &Key::of(&["openai_base_url"]), None).unwrap(), " # a note of the user's\n");
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_line() {
        for (text, line) in [("a = 1\nb =\n", 2), ("a = 1\n\na = 2\n", 3), ("[t]\nx = 1\n[t]\n", 3)] {
            assert_eq!(set(text, &Key::of(&["k"]), "v").unwrap_err().line, Some(line), "{text}");
        }
        let trouble = set("a = 1", &Key::of(&["model_providers", "x", "base_url"]), "v").unwrap_err();
        assert!(trouble.why.contains("model_providers.x.base_url"));
    }
}
