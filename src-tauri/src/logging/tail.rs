//! The end of the log, line by line, for whoever looks. Reads a bounded part of the youngest files and changes nothing.

use super::rotate::numbered;
use serde::Serialize;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// At most this much of the files is read.
const WINDOW: u64 = 1 << 20;

/// The levels, from the loudest to the quietest.
const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// The end of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Logs"))]
pub struct Tail {
    /// The current file.
    pub path: String,
    /// Oldest first.
    pub lines: Vec<Line>,
}

/// One line. What is not of the log's form (a panic's second line) has only its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "LogLine"))]
pub struct Line {
    /// When, as RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub at: Option<String>,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub level: Option<&'static str>,
    /// The part of the program that says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub target: Option<String>,
    /// What it says.
    pub text: String,
}

/// The last `lines` lines of at least `level`. Lines without a level go with the one before them.
///
/// # Errors
/// A sentence when the level is none, or the file cannot be read; a log that does not exist yet is empty.
pub fn tail(path: &Path, lines: usize, level: Option<&str>) -> Result<Tail, String> {
    let least = match level {
        None => 0,
        Some(level) => {
            let known = LEVELS.iter().position(|l| l.eq_ignore_ascii_case(level));
            known.ok_or_else(|| format!("`{level}` is not a level; there are {}.", LEVELS.join(", ")))?
        }
    };
    let text = end(path).map_err(|e| format!("The log {} cannot be read: {e}.", path.display()))?;
    let mut shown = true;
    let mut found: Vec<Line> = Vec::new();
    for line in text.lines().map(parse) {
        if let Some(level) = line.level {
            shown = LEVELS.iter().position(|l| *l == level) >= Some(least);
        }
        if shown {
            found.push(line);
        }
    }
    let lines = found.split_off(found.len().saturating_sub(lines));
    Ok(Tail { path: path.display().to_string(), lines })
}

/// Whole lines from the end of the current file and, as far as there is room, of the one before.
fn end(path: &Path) -> io::Result<String> {
    let current = last_bytes(path, WINDOW)?;
    let room = WINDOW.saturating_sub(current.len() as u64);
    let mut bytes = if room > 0 { last_bytes(&numbered(path, 1), room)? } else { Vec::new() };
    bytes.extend_from_slice(&current);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let length = file.metadata()?.len();
    let skipped = length.saturating_sub(most);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    if skipped > 0 {
        // The first line is half a line.
        let start = memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1);
        bytes.drain(..start);
    }
    Ok(bytes)
}

/// `2026-11-21T05:00:00.123456Z  INFO leeward::supervisor: accepting generation=1`
fn parse(line: &str) -> Line {
    let parts = || {
        let (at, rest) = line.split_once(' ')?;
        let is_time = at.len() >= 20 && at.ends_with('Z') && at.as_bytes()[10] == b'T';
        let (level, rest) = rest.trim_start().split_once(' ')?;
        let level = LEVELS.iter().find(|l| l.eq_ignore_ascii_case(level))?;
        let (target, text) = rest.split_once(": ").or_else(|| Some((rest.strip_suffix(':')?, "")))?;
        is_time.then(|| Line { at: Some(at.into()), level: Some(level), target: Some(target.into()), text: text.into() })
    };
    parts().unwrap_or_else(|| Line { at: None, level: None, target: None, text: line.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(tail: &Tail) -> Vec<&str> {
        tail.lines.iter().map(|l| l.text.as_str()).collect()
    }

    #[test]
    fn lines_are_taken_apart_and_filtered() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("leeward.log");
        assert_eq!(tail(&path, 9, None).unwrap().lines, [], "no log yet");
        std::fs::write(numbered(&path, 1), "2026-11-21T04:59:59.000001Z  WARN leeward::proxy: the one before\n").unwrap();
        let text = "2026-11-21T05:00:00.123456Z  INFO leeward::supervisor: accepting generation=1 a: b\n\
                    2026-11-21T05:00:01.123456Z ERROR leeward: panicked at x:\nsecond line\n\
                    2026-11-21T05:00:02.123456Z DEBUG hyper::proto: quiet\n";
        std::fs::write(&path, text).unwrap();
        let all = tail(&path, 9, None).unwrap();
        assert_eq!(texts(&all), ["the one before", "accepting generation=1 a: b", "panicked at x:", "second line", "quiet"]);
        let line = &all.lines[1];
        assert_eq!((line.level, line.target.as_deref()), (Some("info"), Some("leeward::supervisor")));
        assert_eq!(line.at.as_deref(), Some("2026-11-21T05:00:00.123456Z"));
        assert_eq!(all.lines[3].level, None);
        assert_eq!(texts(&tail(&path, 9, Some("warn")).unwrap()), ["the one before", "panicked at x:", "second line"]);
        assert_eq!(texts(&tail(&path, 2, Some("Info")).unwrap()), ["panicked at x:", "second line"]);
        assert!(tail(&path, 2, Some("loud")).unwrap_err().contains("`loud` is not a level"));
    }

    #[test]
    fn the_log_itself_is_of_this_form() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("leeward.log");
        let (subscriber, guard) = crate::logging::build("info", Some(&path), crate::logging::Stderr::Nothing).unwrap();
        tracing::subscriber::with_default(subscriber, || tracing::warn!(attempt = 2, "said"));
        drop(guard);
        let line = tail(&path, 9, None).unwrap().lines.remove(0);
        assert_eq!((line.level, line.text.as_str()), (Some("warn"), "said attempt=2"));
        assert!(line.target.unwrap().starts_with("leeward::logging"));
    }

    #[test]
    fn a_large_log_is_read_from_its_end_and_without_half_lines() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("leeward.log");
        let lines: String = (0..200_000).map(|n| format!("line {n:06}\n")).collect();
        std::fs::write(&path, lines).unwrap();
        let tail = tail(&path, usize::MAX, None).unwrap();
        assert!(tail.lines.len() as u64 <= WINDOW / 12 && tail.lines.len() > 80_000);
        assert!(tail.lines.iter().all(|l| l.text.len() == 11) && tail.lines.last().unwrap().text == "line 199999");
    }
}
