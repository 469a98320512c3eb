//! What Leeward did for one session: asks whoever served it, and says it in a line. Says nothing where it could not ask.

use crate::instance::Client;
use serde::Deserialize;
use std::time::Duration;

/// A stream begins with a line of JSON; a longer one is none of ours.
const LONGEST_LINE: usize = 4096;
/// A session that was begun anew more often than that is not counted.
const MOST: usize = 64;
/// For each number of it.
const LIMIT: Duration = Duration::from_millis(500);

/// Which numbers a session has had, and in which processes: it gets another one from each engine.
#[derive(Debug, Default)]
pub(super) struct Served {
    numbers: Vec<Number>,
    /// The stream's first line, until it is whole; `None` after it.
    line: Option<Vec<u8>>,
    /// One was not told.
    is_unknown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
struct Number {
    session: u64,
    /// Since when its process counts.
    since_unix_ms: u64,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    number: Number,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct Counts {
    rescued: u64,
    failed: u64,
    tunnels_rescued: u64,
    tunnels_failed: u64,
}

/// What became of a session's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    counts: Counts,
    /// Another process has served it before, and took its counts with it.
    at_least: bool,
}

impl Served {
    /// A stream begins.
    pub(super) fn begins(&mut self) {
        self.is_unknown |= self.line.is_some();
        self.line = Some(Vec::new());
    }

    /// A piece of it came.
    pub(super) fn says(&mut self, piece: &[u8]) {
        let Some(line) = &mut self.line else { return };
        line.extend_from_slice(piece);
        let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
            if line.len() > LONGEST_LINE {
                (self.line, self.is_unknown) = (None, true);
            }
            return;
        };
        match serde_json::from_slice(line.get(..end).unwrap_or_default()) {
            Ok(number) => self.numbers.push(number),
            // An older instance counts nothing.
            Err(_) => self.is_unknown = true,
        }
        self.line = None;
    }

    /// Asks whoever served last.
    pub(super) async fn counted(&self, client: &Client) -> Option<Counted> {
        let Number { since_unix_ms: now, .. } = *self.numbers.last()?;
        if self.is_unknown || self.line.is_some() || self.numbers.len() > MOST {
            return None;
        }
        let mut counts = Counts::default();
        for number in self.numbers.iter().filter(|number| number.since_unix_ms == now) {
            let path = format!("/_leeward/v1/session?number={}", number.session);
            let answer = client.get(&path, LIMIT).await.ok()?;
            let answer: Answer = serde_json::from_value(answer).ok()?;
            // Another process has taken its place, and the number is another session's there.
            if answer.number != *number {
                return None;
            }
            counts = counts.and(answer.counts);
        }
        Some(Counted { counts, at_least: self.numbers.iter().any(|number| number.since_unix_ms != now) })
    }
}

impl Counts {
    fn and(self, more: Self) -> Self {
        Self {
            rescued: self.rescued + more.rescued,
            failed: self.failed + more.failed,
            tunnels_rescued: self.tunnels_rescued + more.tunnels_rescued,
            tunnels_failed: self.tunnels_failed + more.tunnels_failed,
        }
    }
}

impl Counted {
    /// What is said at the agent's end; nothing where nothing was rescued.
    pub fn sentence(&self) -> Option<String> {
        let Self { counts: Counts { rescued, failed, tunnels_rescued, tunnels_failed }, at_least } = *self;
        let both = |requests, connections| {
            let counted = [many(requests, "request"), many(connections, "connection")];
            counted.into_iter().flatten().collect::<Vec<_>>().join(" and ")
        };
        if rescued + tunnels_rescued == 0 {
            return None;
        }
        let least = if at_least { "at least " } else { "" };
        let failed = match failed + tunnels_failed {
            0 => String::new(),
            _ => format!("; {} failed", both(failed, tunnels_failed)),
        };
        Some(format!("{least}{} rescued in this session{failed}", both(rescued, tunnels_rescued)))
    }
}

fn many(count: u64, what: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_known_and_no_more() {
        for (counts, at_least, line) in [
            ([0, 0, 0, 0], false, None),
            ([0, 4, 0, 2], false, None),
            ([1, 0, 0, 0], false, Some("1 request rescued in this session")),
            ([3, 1, 0, 0], false, Some("3 requests rescued in this session; 1 request failed")),
            (
                [3, 2, 1, 2],
                false,
                Some("3 requests and 1 connection rescued in this session; 2 requests and 2 connections failed"),
            ),
            ([0, 0, 2, 0], true, Some("at least 2 connections rescued in this session")),
        ] {
            let [rescued, failed, tunnels_rescued, tunnels_failed] = counts;
            let counted = Counted { counts: Counts { rescued, failed, tunnels_rescued, tunnels_failed }, at_least };
            assert_eq!(counted.sentence().as_deref(), line);
        }
    }

    #[test]
    fn the_first_line_of_each_stream_is_its_number() {
        let mut served = Served::default();
        for pieces in
            [&["{\"session\":4,", "\"since_unix_ms\":9}\n\n"][..], &["{\"authority\":null,\"session\":0,\"since_unix_ms\":8}\n"]]
        {
            served.begins();
            for piece in pieces.iter().copied().chain(["\n", "{\"session\":7,\"since_unix_ms\":1}\n"]) {
                served.says(piece.as_bytes());
            }
        }
        let expected = [Number { session: 4, since_unix_ms: 9 }, Number { session: 0, since_unix_ms: 8 }];
        assert_eq!((served.numbers.as_slice(), served.is_unknown), (&expected[..], false));
        for line in ["{\"session\":4}\n".to_owned(), "x".repeat(LONGEST_LINE + 1)] {
            let mut served = Served::default();
            served.begins();
            served.says(line.as_bytes());
            assert!(served.is_unknown, "an older instance");
        }
        let mut served = Served::default();
        served.begins();
        served.begins();
        assert!(served.is_unknown, "one ended before it had said its number");
    }
}
