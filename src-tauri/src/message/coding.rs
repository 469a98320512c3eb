//! Content codings, looked through in passing: a copy of a compressed body is decoded to see its events. Changes no byte.
//!
//! What it decodes is kept by nobody here, and how much may come of how little is limited: beyond that, or where the
//! bytes are not what they are called, it is lost and sees nothing more. Then the body passes as any other.

mod brotli;
mod deflate;
mod step;
mod zstd;

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_ENCODING};
use step::Step;

/// A coding that can be looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, also of several members (RFC 1952).
    Gzip,
    /// `deflate`: zlib's format (RFC 1950), or bare (RFC 1951), as some servers send it.
    Deflate,
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878), with a window of 8 MiB at most (RFC 9659).
    Zstd,
}

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coded {
    /// Not at all.
    Plain,
    /// So that it can be looked through.
    As(Coding),
    /// Otherwise, or more than once.
    Opaque,
}

impl Coded {
    /// `identity` says nothing (RFC 9110 section 8.4.1 has it for requests only, and servers write it all the same).
    pub fn of(headers: &HeaderMap) -> Self {
        let all = headers.get_all(CONTENT_ENCODING).iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
        let mut all = all.map(<[u8]>::trim_ascii).filter(|c| !c.is_empty() && !c.eq_ignore_ascii_case(b"identity"));
        let Some(coding) = all.next() else { return Self::Plain };
        let is = |name: &[u8]| coding.eq_ignore_ascii_case(name);
        match () {
            () if all.next().is_some() => Self::Opaque,
            () if is(b"gzip") || is(b"x-gzip") => Self::As(Coding::Gzip),
            () if is(b"deflate") => Self::As(Coding::Deflate),
            () if is(b"br") => Self::As(Coding::Brotli),
            () if is(b"zstd") => Self::As(Coding::Zstd),
            () => Self::Opaque,
        }
    }
}

/// Decoded at a time.
const PIECE: usize = 8 << 10;
/// So much may come of any input; of more of it only `RATIO` times as much. Events shrink to a tenth or a twentieth.
const FREE: u64 = 1 << 20;
const RATIO: u64 = 200;

/// Looks through a body over its chunks.
pub struct Decoder {
    /// `None` once it is lost.
    step: Option<Box<dyn Step>>,
    piece: Box<[u8]>,
    read: u64,
    written: u64,
}

/// Nothing of what passes shows.
impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("read", &self.read).field("written", &self.written).finish_non_exhaustive()
    }
}

impl Decoder {
    /// For the beginning of a body.
    pub fn new(coding: Coding) -> Self {
        let step: Option<Box<dyn Step>> = match coding {
            Coding::Gzip => Some(Box::new(deflate::Deflate::gzip())),
            Coding::Deflate => Some(Box::new(deflate::Deflate::unknown())),
            Coding::Brotli => Some(Box::new(brotli::Brotli::new())),
            Coding::Zstd => zstd::Zstd::new().map(|z| Box::new(z) as Box<dyn Step>),
        };
        Self { step, piece: vec![0; PIECE].into(), read: 0, written: 0 }
    }

    /// Reads a chunk; `seen` gets what it says, piece by piece.
    pub fn feed(&mut self, mut chunk: &[u8], mut seen: impl FnMut(&[u8])) {
        while let Some(step) = &mut self.step {
            let Ok((read, written)) = step.step(chunk, &mut self.piece) else {
                self.step = None;
                return;
            };
            chunk = &chunk[read..];
            self.read += read as u64;
            self.written += written as u64;
            if self.written > FREE.max(self.read.saturating_mul(RATIO)) {
                self.step = None;
                return;
            }
            if written > 0 {
                seen(&self.piece[..written]);
            } else if read == 0 {
                return;
            }
        }
    }

    /// True when it sees nothing any more.
    pub fn is_lost(&self) -> bool {
        self.step.is_none()
    }

    /// True when something has come, and the body may not end here.
    pub fn is_open(&self) -> bool {
        self.step.as_ref().is_some_and(|s| s.is_open())
    }

    /// What ends the body here in its own coding, so that a client reads all that has come and then its end; `None` when
    /// nothing does, because it stands within a block. Decoding it shows which.
    pub fn ending(&mut self) -> Option<Bytes> {
        let ending = self.step.as_ref().filter(|s| s.is_open()).map(|s| s.ending());
        let Some(ending) = ending else { return (!self.is_lost()).then(Bytes::new) };
        let mut more = false;
        self.feed(&ending, |_| more = true);
        (!more && !self.is_lost() && !self.is_open()).then(|| ending.into())
    }
}

#[cfg(test)]
mod tests;
