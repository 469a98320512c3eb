//! Sets and takes out one value of a JSON text by its bytes: comments, commas, indentation and order of everything else stay.
//! Refuses a text in which the way to the value is not unique. Reads and writes no file.

use super::key::{Change, Key, Made, Step, Trouble, line_end, line_of, replaced};
use jsonc_parser::{
    CollectOptions, CommentCollectionStrategy, ParseOptions,
    ast::{Array, Object, Value},
    common::{Range as Span, Ranged},
    parse_to_ast,
};
use std::ops::Range;

/// The value; what is no string is given as it is written.
pub(super) fn value(text: &str, key: &Key) -> Result<Option<String>, Trouble> {
    let Some(root) = parse(text)? else { return Ok(None) };
    let mut at = &root;
    for step in &key.0 {
        match next(text, at, step)? {
            Some(found) => at = found,
            None => return Ok(None),
        }
    }
    Ok(Some(at.as_string_lit().map_or_else(|| raw(text, at.range()).to_owned(), |text| text.value.to_string())))
}

/// Sets the value.
pub(super) fn set(text: &str, key: &Key, value: &str) -> Result<Change, Trouble> {
    let Some(root) = parse(text)? else {
        let end = line_end(text);
        let head = if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}{end}") };
        let mut change = set(&format!("{head}{{}}{end}"), key, value)?;
        change.made.retain(|made| !made.path.is_empty());
        change.made.push(Made { path: Vec::new(), before: Some(text.to_owned()) });
        return Ok(change);
    };
    let mut at = &root;
    for (depth, step) in key.0.iter().enumerate() {
        match next(text, at, step)? {
            Some(found) => at = found,
            None => return Ok(insert(text, at, depth, key, value)),
        }
    }
    let range = bytes(at.range());
    let former = Some(text[range.clone()].to_owned());
    Ok(Change { text: replaced(text, range, &quoted(value)), former, made: Vec::new() })
}

/// Puts a former value back; without one, takes the value out.
pub(super) fn restore(text: &str, key: &Key, former: Option<&str>) -> Result<String, Trouble> {
    let Some(root) = parse(text)? else { return Ok(text.to_owned()) };
    let mut way = vec![&root];
    for step in &key.0 {
        match next(text, way[way.len() - 1], step)? {
            Some(found) => way.push(found),
            None => return Ok(text.to_owned()),
        }
    }
    let value = way[way.len() - 1];
    if let Some(former) = former {
        return Ok(replaced(text, bytes(value.range()), former));
    }
    let mut gone = way.len() - 1;
    // The entry of a list is made of a name and a value.
    if gone > 1 && matches!(key.0[gone - 2], Step::Named(_)) && way[gone - 1].as_object().is_some_and(|o| o.properties.len() == 2)
    {
        gone -= 1;
    }
    Ok(take_out(text, way[gone - 1], bytes(way[gone].range())))
}

/// Takes a container out, or makes it what it was, if there is nothing in it any more.
pub(super) fn clear(text: &str, made: &Made) -> Result<String, Trouble> {
    let Some(root) = parse(text)? else { return Ok(text.to_owned()) };
    let mut way = vec![&root];
    for step in &made.path {
        match next(text, way[way.len() - 1], step)? {
            Some(found) => way.push(found),
            None => return Ok(text.to_owned()),
        }
    }
    let last = way[way.len() - 1];
    if !items(last).is_some_and(|items| items.is_empty()) {
        return Ok(text.to_owned());
    }
    let range = bytes(last.range());
    let holds = |before: &str| inner(&text[range.clone()]) == inner(before);
    Ok(match &made.before {
        Some(before) if made.path.is_empty() => {
            let root = parse(before)?.map_or(before.len()..before.len(), |root| bytes(root.range()));
            let around = |text: &str, root: Range<usize>| replaced(text, root, "").trim().to_owned();
            let is_former = holds(&before[root.clone()]) && around(text, range.clone()) == around(before, root);
            if is_former { before.clone() } else { text.to_owned() }
        }
        Some(before) if holds(before) => replaced(text, range, before),
        None if holds("{}") && way.len() > 1 => take_out(text, way[way.len() - 2], range),
        _ => text.to_owned(),
    })
}

/// What stands between a container's brackets, apart from blanks.
fn inner(container: &str) -> &str {
    container.get(1..container.len().saturating_sub(1)).unwrap_or_default().trim()
}

fn parse(text: &str) -> Result<Option<Value<'_>>, Trouble> {
    let collect = CollectOptions { comments: CommentCollectionStrategy::Off, tokens: false };
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &collect, &options);
    let parsed = parsed.map_err(|e| Trouble::at(text, e.range().start, format!("it is not valid JSON ({})", e.kind())))?;
    match parsed.value {
        Some(value) if value.as_object().is_none() => {
            Err(Trouble::at(text, value.range().start, "it is JSON, but not an object"))
        }
        value => Ok(value),
    }
}

/// What a step leads to. Whoever reads JSON takes the last of several, some the first: that is nobody's to guess.
fn next<'t, 'v>(text: &str, at: &'v Value<'t>, step: &Step) -> Result<Option<&'v Value<'t>>, Trouble> {
    let (name, found): (&str, Vec<&Value<'t>>) = match step {
        Step::Member(name) => {
            let Some(object) = at.as_object() else {
                return Err(Trouble::at(text, at.start(), format!("what should hold `{name}` is not an object")));
            };
            (name, object.properties.iter().filter(|p| p.name.as_str() == name).map(|p| &p.value).collect())
        }
        Step::Named(name) => {
            let Some(list) = at.as_array() else {
                return Err(Trouble::at(text, at.start(), format!("what should list `{name}` is not a list")));
            };
            let is = |v: &&Value<'t>| {
                v.as_object().and_then(|o| o.get_string("name")).is_some_and(|found| found.value == name.as_str())
            };
            (name, list.elements.iter().filter(is).collect())
        }
    };
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        [first, second, ..] => {
            let lines = [first, second].map(|v| line_of(text, v.start()));
            let why = format!("`{name}` stands there twice, in lines {} and {}; leave one of them", lines[0], lines[1]);
            Err(Trouble { line: Some(lines[1]), why })
        }
    }
}

/// The ranges of members or elements; `None` for what holds none.
fn items(container: &Value<'_>) -> Option<Vec<Range<usize>>> {
    match container {
        Value::Object(Object { properties, .. }) => Some(properties.iter().map(|p| bytes(p.range)).collect()),
        Value::Array(Array { elements, .. }) => Some(elements.iter().map(|e| bytes(e.range())).collect()),
        _ => None,
    }
}

/// Puts what is missing of the way, and the value, into the last container that is there.
fn insert(text: &str, at: &Value<'_>, depth: usize, key: &Key, value: &str) -> Change {
    let range = bytes(at.range());
    let items = items(at).unwrap_or_default();
    let spaced = !text.contains("\":") || text.contains("\": ");
    let line = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let has_line = text.trim().contains('\n') && !text[line..range.start].contains(['{', '[']);
    let opens = items.is_empty() && (depth == 0 || has_line);
    let lines = (text[range.clone()].contains('\n') || opens).then(|| Lines::of(text, &range, items.first()));
    let piece = fresh(&key.0[depth..], value, lines.as_ref(), spaced);
    let piece = piece[1..piece.len() - 1].trim_end();
    let mut made: Vec<Made> = (depth + 1..key.0.len())
        .filter(|end| !matches!(key.0[end - 1], Step::Named(_)))
        .map(|end| Made { path: key.0[..end].to_vec(), before: None })
        .collect();
    made.reverse();
    let close = range.end - 1;
    let text = match items.last() {
        None => {
            let before = if depth == 0 { text } else { &text[range.clone()] };
            made.push(Made { path: key.0[..depth].to_vec(), before: Some(before.to_owned()) });
            let end = Gap::of(text, range.start + 1..close).end;
            match &lines {
                Some(_) if text[end..close].contains('\n') => replaced(text, end..end, piece),
                Some(lines) => replaced(text, end..close, &format!("{piece}{}{}", lines.end, lines.outer)),
                None => replaced(text, end..close, piece),
            }
        }
        Some(last) => {
            let gap = Gap::of(text, last.end..close);
            let piece = if lines.is_none() && spaced { format!(" {piece}") } else { piece.to_owned() };
            match gap.comma {
                Some(_) => replaced(text, gap.end..gap.end, &format!("{piece},")),
                None => replaced(&replaced(text, gap.end..gap.end, &piece), last.end..last.end, ","),
            }
        }
    };
    Change { text, former: None, made }
}

/// How a container that goes over several lines is laid out.
struct Lines {
    end: &'static str,
    /// Before its closing bracket.
    outer: String,
    /// One level.
    unit: String,
    /// Before what it holds.
    inner: String,
}

impl Lines {
    fn of(text: &str, container: &Range<usize>, first: Option<&Range<usize>>) -> Self {
        let outer = blank_before(text, container.start, true).unwrap_or_default();
        let indented = |line: &str| {
            let blank = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
            (!blank.is_empty() && !line.trim().is_empty() && !line.trim_start().starts_with('*')).then(|| blank.to_owned())
        };
        let unit = text.lines().find_map(indented).unwrap_or_else(|| "  ".into());
        let own = first.and_then(|first| blank_before(text, first.start, false));
        let inner = own.unwrap_or_else(|| format!("{outer}{unit}"));
        Self { end: line_end(text), outer, unit, inner }
    }

    fn deeper(&self) -> Self {
        let (outer, unit) = (self.inner.clone(), self.unit.clone());
        Self { end: self.end, inner: format!("{outer}{unit}"), outer, unit }
    }
}

/// The blanks at the start of a byte's line; where something else stands before the byte, only if `anyhow`.
fn blank_before(text: &str, byte: usize, anyhow: bool) -> Option<String> {
    let start = text[..byte].rfind('\n').map_or(0, |at| at + 1);
    let before = &text[start..byte];
    let blank = &before[..before.len() - before.trim_start_matches([' ', '\t']).len()];
    (anyhow || blank.len() == before.len()).then(|| blank.to_owned())
}

/// A new container with the steps and the value in it.
fn fresh(steps: &[Step], value: &str, lines: Option<&Lines>, spaced: bool) -> String {
    let (colon, blank) = if spaced { (": ", " ") } else { (":", "") };
    let (open, inner, close) = match steps {
        [] => return quoted(value),
        [Step::Member(name), rest @ ..] => {
            let value = fresh(rest, value, lines.map(Lines::deeper).as_ref(), spaced);
            ('{', format!("{}{colon}{value}", quoted(name)), '}')
        }
        [Step::Named(name), ..] => {
            let name = quoted(name);
            let entry = format!("{{{blank}\"name\"{colon}{name},{blank}\"value\"{colon}{}{blank}}}", quoted(value));
            ('[', entry, ']')
        }
    };
    match lines {
        Some(Lines { end, outer, inner: indent, .. }) => format!("{open}{end}{indent}{inner}{end}{outer}{close}"),
        None => format!("{open}{inner}{close}"),
    }
}

/// What stands between two items, or an item and a bracket: blanks, comments, a comma.
struct Gap {
    comma: Option<usize>,
    /// After the last comment or comma.
    end: usize,
}

impl Gap {
    fn of(text: &str, range: Range<usize>) -> Self {
        let (mut at, mut gap) = (range.start, Self { comma: None, end: range.start });
        while at < range.end {
            let rest = &text[at..range.end];
            let length = if rest.starts_with("//") {
                let line = rest.find('\n').unwrap_or(rest.len());
                rest[..line].trim_end_matches('\r').len()
            } else if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            } else if rest.starts_with(',') {
                gap.comma = Some(at);
                1
            } else {
                at += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            };
            at += length;
            gap.end = at;
        }
        gap
    }
}

/// Takes an item out of its container, with the comma that it needs no more.
fn take_out(text: &str, container: &Value<'_>, item: Range<usize>) -> String {
    let range = bytes(container.range());
    let items = items(container).unwrap_or_default();
    // A member begins with its name.
    let Some(at) = items.iter().position(|own| own.end == item.end) else { return text.to_owned() };
    let own = &items[at];
    let before = Gap::of(text, if at == 0 { range.start + 1 } else { items[at - 1].end }..own.start);
    let after = Gap::of(text, own.end..items.get(at + 1).map_or(range.end - 1, |next| next.start));
    match (after.comma, before.comma) {
        (Some(comma), _) => replaced(text, before.end..comma + 1, ""),
        (None, Some(comma)) => replaced(&replaced(text, before.end..own.end, ""), comma..comma + 1, ""),
        (None, None) => replaced(text, before.end..own.end, ""),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn raw(text: &str, range: Span) -> &str {
    &text[range.start..range.end]
}

fn bytes(range: Span) -> Range<usize> {
    range.start..range.end
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
