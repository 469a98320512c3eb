//! Looks whether the lines of a response's head end in CR LF. Pure: pieces of bytes in, verdict out.
//!
//! hyper takes LF alone as a line's end as well (RFC 9112 section 2.2 lets it). A server or middlebox that does not, on the
//! way of the same connection, would see another head in the same bytes, and another response after it.

use memchr::memchr;

/// Where the next byte stands in the head of a response.
#[derive(Debug, Default)]
pub(super) struct HeadLines {
    /// Bytes of the present line so far.
    line: usize,
    /// The last of them.
    last: u8,
    /// The status line has begun.
    begun: bool,
    /// The status line is whole.
    named: bool,
    /// First digit of the status.
    class: u8,
    /// The first line begins as no status line does: no parser takes what comes for HTTP, wherever it sees lines.
    foreign: bool,
}

/// A line ends in LF alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BareLf;

/// How a status line begins.
const PROTOCOL: &[u8] = b"HTTP/";

/// Where the status stands in the status line.
const STATUS_AT: usize = "HTTP/1.1 ".len();

impl HeadLines {
    /// Looks at the next bytes. True when the last head of a response has ended, wherever in them; what follows is not
    /// looked at. Interim responses (1xx) come before it.
    pub(super) fn scan(&mut self, mut bytes: &[u8]) -> Result<bool, BareLf> {
        while let Some(at) = memchr(b'\n', bytes) {
            self.note(&bytes[..at]);
            bytes = &bytes[at + 1..];
            if self.foreign {
                *self = Self::default();
                return Ok(true);
            }
            if self.last != b'\r' {
                return Err(BareLf);
            }
            let is_empty = self.line == 1;
            (self.line, self.last) = (0, 0);
            if !is_empty {
                self.named = true;
            } else if self.begun {
                let is_interim = self.class == b'1';
                *self = Self::default();
                if !is_interim {
                    return Ok(true);
                }
            }
        }
        self.note(bytes);
        Ok(false)
    }

    /// Takes bytes of the present line.
    fn note(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        if !self.named
            && let Some(class) = STATUS_AT.checked_sub(self.line).and_then(|at| bytes.get(at))
        {
            self.class = *class;
        }
        if !self.named {
            let expected = PROTOCOL.get(self.line.min(PROTOCOL.len())..).unwrap_or_default();
            self.foreign |= bytes != b"\r" && expected.iter().zip(bytes).any(|(expected, byte)| expected != byte);
        }
        self.begun |= self.named || bytes != b"\r" || self.line > 0;
        self.line += bytes.len();
        self.last = *last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on whole bytes, and that it is the same however they come.
    fn verdict(text: &str) -> Result<bool, BareLf> {
        let whole = HeadLines::default().scan(text.as_bytes());
        for step in 1..text.len() {
            let mut lines = HeadLines::default();
            let sliced = text.as_bytes().chunks(step).map(|piece| lines.scan(piece)).find(|seen| *seen != Ok(false));
            assert_eq!(sliced.unwrap_or(Ok(false)), whole, "{text:?} in steps of {step}");
        }
        whole
    }

    #[test]
    fn each_line_of_a_head_ends_in_cr_lf() {
        for (text, want) in [
            ("HTTP/1.1 200 OK\r\na: b\r\n\r\n", Ok(true)),
            ("HTTP/1.1 200 OK\r\na: b\r\n\r\nbody\nwith\nlines", Ok(true)),
            ("HTTP/1.1 200 OK\r\n\r\n", Ok(true)),
            ("\r\n\r\nHTTP/1.1 200 OK\r\na: b\r\n\r\n", Ok(true)),
            ("HTTP/1.1 103 Early Hints\r\na: b\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\n", Ok(true)),
            ("HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n", Ok(false)),
            ("HTTP/1.1 200 OK\r\na: b\r\n", Ok(false)),
            ("HTTP/1.1 200", Ok(false)),
            ("HTTP/1.1 200 OK\na: b\n\n", Err(BareLf)),
            ("HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n", Err(BareLf)),
            ("HTTP/1.1 200 OK\r\na: b\r\n\n", Err(BareLf)),
            ("HTTP/1.1 200 OK\n\r\n", Err(BareLf)),
            ("\nHTTP/1.1 200 OK\r\n\r\n", Err(BareLf)),
            ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\n\n", Err(BareLf)),
            ("HTTP/2 nothing\n", Err(BareLf)),
            ("nothing of HTTP\n", Ok(true)),
            ("HTTPS is not it\r\n", Ok(true)),
        ] {
            assert_eq!(verdict(text), want, "{text:?}");
        }
    }

    #[test]
    fn one_after_the_other_is_looked_at() {
        let mut lines = HeadLines::default();
        assert_eq!(lines.scan(b"HTTP/1.1 200 OK\r\n\r\nbody\n"), Ok(true));
        assert_eq!(lines.scan(b"HTTP/1.1 204 No Content\r\n\r\n"), Ok(true));
        assert_eq!(lines.scan(b"HTTP/1.1 204 No Content\n\n"), Err(BareLf));
    }
}
