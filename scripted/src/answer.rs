//! A response before it is written: status, headers and a body in pieces. It knows nothing of sockets or faults.

use bytes::Bytes;
use std::time::Duration;

/// A piece of a body. In a stream it is one event.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Pause before it is sent.
    pub(super) wait: Duration,
    pub(super) bytes: Bytes,
}

/// How the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// What is sent back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) framing: Framing,
    pub(super) pieces: Box<dyn Iterator<Item = Piece> + Send>,
    pub(super) trailers: Vec<(String, String)>,
    /// Status lines sent before the response, such as `103 Early Hints`, with a `link` header each.
    pub(super) interim: Vec<u16>,
    /// Pause before the head.
    pub(super) wait: Duration,
}

impl Answer {
    /// A body of known length in one piece.
    pub(super) fn whole(status: u16, kind: &str, body: impl Into<Bytes>) -> Self {
        let bytes = body.into();
        let length = bytes.len() as u64;
        let pieces = std::iter::once(Piece { wait: Duration::ZERO, bytes });
        Self::with(status, kind, Framing::Length(length), Box::new(pieces))
    }

    /// A JSON body.
    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::whole(status, "application/json", body.to_string())
    }

    /// A stream of server-sent events, each a piece of its own.
    pub(super) fn events(pieces: impl Iterator<Item = Piece> + Send + 'static) -> Self {
        let mut answer = Self::with(200, "text/event-stream; charset=utf-8", Framing::Chunked, Box::new(pieces));
        answer.headers.push(("cache-control".into(), "no-cache".into()));
        answer
    }

    pub(super) fn with(status: u16, kind: &str, framing: Framing, pieces: Box<dyn Iterator<Item = Piece> + Send>) -> Self {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Self { status, headers, framing, pieces, trailers: Vec::new(), interim: Vec::new(), wait: Duration::ZERO }
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The status line and headers. `claimed` is added to the `content-length`; `close` announces the end of the connection.
    pub(super) fn head(&self, claimed: i64, close: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.framing {
            _ if matches!(self.status, 100..=199 | 204 | 304) => {}
            Framing::Length(length) => head.push_str(&format!("content-length: {}\r\n", length.saturating_add_signed(claimed))),
            Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
        }
        if !self.trailers.is_empty() {
            let names: Vec<&str> = self.trailers.iter().map(|(n, _)| n.as_str()).collect();
            head.push_str(&format!("trailer: {}\r\n", names.join(", ")));
        }
        if close {
            head.push_str("connection: close\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// The standard reason of a status; codes unknown to the registry (529) have none.
pub(super) fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("")
}
