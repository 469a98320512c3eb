//! A stream's events as they pass, compressed or not: a scanner, after a decoder where there is one. Changes no byte.

use super::{
    coding::Decoder,
    sse::{Kind, Scanner},
};
use bytes::Bytes;

/// Follows a stream of events over its chunks.
#[derive(Debug)]
pub(crate) struct EventReader {
    scanner: Scanner,
    decoder: Option<Decoder>,
}

impl EventReader {
    /// `decoder`: for a compressed stream.
    pub(crate) fn new(scanner: Scanner, decoder: Option<Decoder>) -> Self {
        Self { scanner, decoder }
    }

    /// Reads a chunk.
    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        let scanner = &mut self.scanner;
        match &mut self.decoder {
            Some(decoder) => decoder.feed(chunk, |text| scanner.feed(text, |_: Kind| {})),
            None => scanner.feed(chunk, |_| {}),
        }
    }

    /// As `Scanner::glance`.
    pub(crate) fn glance(&mut self, whole: bool) {
        self.scanner.glance(whole);
    }

    /// True when the stream is compressed: nothing may be put into it.
    pub(crate) fn is_compressed(&self) -> bool {
        self.decoder.is_some()
    }

    /// True between two events: something of one's own may be put here.
    pub(crate) fn at_boundary(&self) -> bool {
        !self.is_compressed() && self.scanner.at_boundary()
    }

    /// True when the response's last event has passed whole.
    pub(crate) fn is_complete(&self) -> bool {
        self.scanner.is_complete() && !self.decoder.as_ref().is_some_and(Decoder::is_lost)
    }

    /// What must follow for the stream to end here: nothing, or what ends its coding. `None` when nothing can.
    pub(crate) fn ending(&mut self) -> Option<Bytes> {
        self.decoder.as_mut().map_or_else(|| Some(Bytes::new()), Decoder::ending)
    }
}
