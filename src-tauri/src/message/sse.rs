//! Server-sent events, looked at in passing: where events end and what kind they are. Changes no byte, keeps few.
//!
//! The format is the WHATWG HTML standard's, section 9.2.6: fields by line, events by blank line, lines ended by LF, CR LF
//! or CR. Before the commit point whole events are read, because their content decides; after it only how an event
//! begins, which shows the last one.

mod kind;

pub use kind::Kind;

/// Bytes of an event that are kept once nobody needs its content: enough for `event: response.incomplete` or `[DONE]`.
pub(crate) const GLIMPSE: usize = 96;

/// Follows a stream of events over its chunks.
pub struct Scanner {
    /// Bytes of one event that are kept.
    keep: usize,
    /// Only the last event is looked for.
    glancing: bool,
    /// The line that has begun, as far as it is kept.
    line: Vec<u8>,
    /// True when the line is longer than what is kept of it.
    cut: bool,
    /// The last byte was a CR, so an LF belongs to it.
    after_cr: bool,
    name: Vec<u8>,
    data: Vec<u8>,
    /// Fields or comments since the last event.
    fields: bool,
    /// True when the last event of the stream, `Kind::Last`, has gone by.
    complete: bool,
    /// An event has gone by whose dialect ends with an event of its own.
    promised: bool,
    /// The stream's first bytes may be a byte order mark.
    begun: bool,
}

/// Nothing of what passes shows.
impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner").field("complete", &self.complete).field("promised", &self.promised).finish_non_exhaustive()
    }
}

impl Scanner {
    /// For the beginning of a stream; of each event up to `keep` bytes are read.
    pub fn new(keep: usize) -> Self {
        Self {
            keep: keep.max(GLIMPSE),
            glancing: false,
            line: Vec::new(),
            cut: false,
            after_cr: false,
            name: Vec::new(),
            data: Vec::new(),
            fields: false,
            complete: false,
            promised: false,
            begun: false,
        }
    }

    /// From now on only the response's end matters. `whole`: it is seen only by reading events whole (Gemini).
    pub fn glance(&mut self, whole: bool) {
        self.glancing = true;
        if !whole {
            self.keep = GLIMPSE;
            self.line.truncate(GLIMPSE);
            self.data.truncate(GLIMPSE);
            self.line.shrink_to_fit();
            self.data.shrink_to_fit();
        }
    }

    /// True between two events: something of one's own may be put here.
    pub fn at_boundary(&self) -> bool {
        self.line.is_empty() && !self.cut && !self.fields
    }

    /// True when the response's last event has passed whole; what comes after it has no content.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// True when the response's dialect ends with an event of its own (`message_stop`, `response.completed`), so that one
    /// without it was cut, however politely. Servers of chat completions leave out `[DONE]` as they like.
    pub fn promises_an_end(&self) -> bool {
        self.promised
    }

    /// Reads a chunk; `seen` gets the kind of each event that ends in it.
    pub fn feed(&mut self, mut chunk: &[u8], mut seen: impl FnMut(Kind)) {
        while !chunk.is_empty() {
            if std::mem::take(&mut self.after_cr) && chunk[0] == b'\n' {
                chunk = &chunk[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', chunk) else {
                self.take(chunk);
                return;
            };
            self.take(&chunk[..end]);
            self.after_cr = chunk[end] == b'\r';
            chunk = &chunk[end + 1..];
            self.end_line(&mut seen);
        }
    }

    fn take(&mut self, piece: &[u8]) {
        let room = self.keep - self.line.len().min(self.keep);
        self.cut |= piece.len() > room;
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    fn end_line(&mut self, seen: &mut impl FnMut(Kind)) {
        if !std::mem::replace(&mut self.begun, true) && self.line.starts_with(b"\xEF\xBB\xBF") {
            self.line.drain(..3);
        }
        if self.line.is_empty() && !self.cut {
            if std::mem::take(&mut self.fields) {
                let read = if self.glancing { kind::glance } else { kind::of };
                let kind = read(&self.name, &self.data);
                self.complete |= kind == Kind::Last;
                self.promised |= matches!(&self.name[..], b"message_start" | b"response.created");
                seen(kind);
            }
            self.name.clear();
            self.data.clear();
            return;
        }
        self.fields = true;
        let (field, value) = match memchr::memchr(b':', &self.line) {
            Some(at) => (&self.line[..at], self.line[at + 1..].strip_prefix(b" ").unwrap_or(&self.line[at + 1..])),
            None => (&self.line[..], &b""[..]),
        };
        match field {
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(&value[..value.len().min(GLIMPSE)]);
            }
            b"data" => {
                if !self.data.is_empty() && self.data.len() < self.keep {
                    self.data.push(b'\n');
                }
                let room = self.keep - self.data.len().min(self.keep);
                self.data.extend_from_slice(&value[..value.len().min(room)]);
            }
            _ => {}
        }
        self.line.clear();
        self.cut = false;
    }
}

#[cfg(test)]
mod tests;
