//! Where a value stands in a file, how the file is written, and what keeps it from being edited. Knows no agent and no file.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// JSON, with comments and commas at the end of a list where its user has them.
    Json,
    /// TOML.
    Toml,
    /// `NAME=value` lines.
    Env,
    /// A shell's profile: one block between two marks.
    Shell,
}

/// One step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The member of an object or table.
    Member(String),
    /// The object in a list whose `name` is this.
    Named(String),
}

/// The way to a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub Vec<Step>);

impl Key {
    /// The way through members.
    pub fn of(members: &[&str]) -> Self {
        Self(members.iter().map(|name| Step::Member((*name).to_owned())).collect())
    }

    /// The value of a variable in a list of `{name, value}`.
    pub fn listed(list: &str, name: &str) -> Self {
        Self(vec![Step::Member(list.into()), Step::Named(name.into()), Step::Member("value".into())])
    }

    /// The block of a profile.
    pub fn block() -> Self {
        Self::of(&["leeward"])
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Member(name) if at == 0 => f.write_str(name)?,
                // The value of a listed variable is what its name stands for.
                Step::Member(_) if matches!(self.0[at - 1], Step::Named(_)) => {}
                Step::Member(name) => write!(f, ".{name}")?,
                Step::Named(name) => write!(f, "[{name}]")?,
            }
        }
        Ok(())
    }
}

/// A container that was not there, or had nothing in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The way to it; none for the whole file.
    pub path: Vec<Step>,
    /// What it was; `None` where there was none. For the whole file, the file's text.
    pub before: Option<String>,
}

/// What a value's setting came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The new text.
    pub(super) text: String,
    /// The former value as it was written; `None` where there was none.
    pub(super) former: Option<String>,
    /// Containers that had to be made.
    pub(super) made: Vec<Made>,
}

/// Why a text cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The line, from 1 on.
    pub(super) line: Option<usize>,
    /// The end of a sentence.
    pub(super) why: String,
}

impl Trouble {
    /// At a byte of the text.
    pub(super) fn at(text: &str, byte: usize, why: impl Into<String>) -> Self {
        Self { line: Some(line_of(text, byte)), why: why.into() }
    }
}

/// The line of a byte, from 1 on.
pub(super) fn line_of(text: &str, byte: usize) -> usize {
    text.as_bytes().iter().take(byte).filter(|b| **b == b'\n').count() + 1
}

/// The line end that a text uses.
pub(super) fn line_end(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// The text with another piece in a range.
pub(super) fn replaced(text: &str, range: std::ops::Range<usize>, piece: &str) -> String {
    [&text[..range.start], piece, &text[range.end..]].concat()
}

/// The text without the lines that a range touches; of a line that has more on it, only the range goes.
pub(super) fn without_lines(text: &str, range: std::ops::Range<usize>) -> String {
    let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[range.end..].find('\n').map_or(text.len(), |at| range.end + at + 1);
    if !text[start..range.start].trim().is_empty() || !text[range.end..end].trim().is_empty() {
        return replaced(text, range, "");
    }
    // The last line of a text that has no line end at its end: the one before it was added with it.
    let start = match text[..end].ends_with('\n') || start == 0 {
        true => start,
        false if text[..start].ends_with("\r\n") => start - 2,
        false => start - 1,
    };
    replaced(text, start..end, "")
}

/// The text with lines added after it. A text without a line end at its end keeps being one.
pub(super) fn with_lines(text: &str, lines: &str) -> String {
    let end = line_end(text);
    let lines = lines.replace('\n', end);
    if text.is_empty() || text.ends_with('\n') { format!("{text}{lines}{end}") } else { format!("{text}{end}{lines}") }
}
