//! Compressed answers, as servers with a compressing front send them: each event flushed, so that it can be read at once.

use super::answer::{Answer, Framing, Piece};
use std::{
    io::{self, Write},
    time::Duration,
};

/// The codings that `?coding=` knows, and what `content-encoding` says of each. The last two need the feature `codings`;
/// without it, an answer in them is given as it is.
pub const CODINGS: [(&str, &str); 5] =
    [("gzip", "gzip"), ("deflate", "deflate"), ("bare-deflate", "deflate"), ("br", "br"), ("zstd", "zstd")];

enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Zlib(flate2::write::ZlibEncoder<Vec<u8>>),
    Bare(flate2::write::DeflateEncoder<Vec<u8>>),
    #[cfg(feature = "codings")]
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    #[cfg(feature = "codings")]
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(coding: &str) -> io::Result<Self> {
        let level = flate2::Compression::fast();
        Ok(match coding {
            "gzip" => Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), level)),
            "deflate" => Self::Zlib(flate2::write::ZlibEncoder::new(Vec::new(), level)),
            "bare-deflate" => Self::Bare(flate2::write::DeflateEncoder::new(Vec::new(), level)),
            #[cfg(feature = "codings")]
            "br" => Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, 4, 18))),
            #[cfg(feature = "codings")]
            "zstd" => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        })
    }

    /// Compresses a piece and flushes.
    fn piece(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let writer: &mut dyn Write = match self {
            Self::Gzip(e) => e,
            Self::Zlib(e) => e,
            Self::Bare(e) => e,
            #[cfg(feature = "codings")]
            Self::Brotli(e) => e,
            #[cfg(feature = "codings")]
            Self::Zstd(e) => e,
        };
        writer.write_all(bytes)?;
        writer.flush()?;
        Ok(std::mem::take(match self {
            Self::Gzip(e) => e.get_mut(),
            Self::Zlib(e) => e.get_mut(),
            Self::Bare(e) => e.get_mut(),
            #[cfg(feature = "codings")]
            Self::Brotli(e) => e.get_mut(),
            #[cfg(feature = "codings")]
            Self::Zstd(e) => e.get_mut(),
        }))
    }

    /// What ends it.
    fn end(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(e) => e.finish(),
            Self::Zlib(e) => e.finish(),
            Self::Bare(e) => e.finish(),
            #[cfg(feature = "codings")]
            Self::Brotli(e) => Ok(e.into_inner()),
            #[cfg(feature = "codings")]
            Self::Zstd(e) => e.finish(),
        }
    }
}

/// The pieces, each compressed; what ends the coding is a last piece of its own.
struct Encoded {
    pieces: Box<dyn Iterator<Item = Piece> + Send>,
    encoder: Option<Encoder>,
}

impl Iterator for Encoded {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let (wait, bytes) = match (self.pieces.next(), &mut self.encoder) {
            (Some(piece), Some(encoder)) => (piece.wait, encoder.piece(&piece.bytes)),
            _ => (Duration::ZERO, self.encoder.take()?.end()),
        };
        // Writing to memory does not fail; if it did, the stream would end early and whoever reads it would see that.
        bytes.ok().map(|bytes| Piece { wait, bytes: bytes.into() })
    }
}

/// The answer in the coding that `?coding=` names; as it is where none of these is named.
pub(super) fn encode(mut answer: Answer, coding: Option<&str>) -> Answer {
    let Some((name, says)) = CODINGS.iter().find(|(name, _)| Some(*name) == coding) else { return answer };
    let Ok(encoder) = Encoder::new(name) else { return answer };
    let pieces = Encoded { pieces: answer.pieces, encoder: Some(encoder) };
    if let Framing::Length(_) = answer.framing {
        let whole: Vec<u8> = pieces.flat_map(|piece| piece.bytes).collect();
        answer.framing = Framing::Length(whole.len() as u64);
        answer.pieces = Box::new(std::iter::once(Piece { wait: Duration::ZERO, bytes: whole.into() }));
    } else {
        answer.pieces = Box::new(pieces);
    }
    answer.header("content-encoding", *says)
}

/// What a body says that is coded so.
///
/// # Errors
/// When it is not whole, or not coded so.
pub fn decode(coding: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    match coding {
        "gzip" => io::copy(&mut flate2::read::MultiGzDecoder::new(body), &mut text),
        "deflate" => io::copy(&mut flate2::read::ZlibDecoder::new(body), &mut text),
        "bare-deflate" => io::copy(&mut flate2::read::DeflateDecoder::new(body), &mut text),
        #[cfg(feature = "codings")]
        "br" => io::copy(&mut brotli::Decompressor::new(body, 4096), &mut text),
        #[cfg(feature = "codings")]
        "zstd" => io::copy(&mut zstd::stream::read::Decoder::new(body)?, &mut text),
        _ => return Err(io::ErrorKind::Unsupported.into()),
    }?;
    Ok(text)
}

/// Whole events in each coding, each flushed: the chunks of a body, of which the last only ends the coding.
///
/// # Errors
/// When the coding is not known to an encoder.
pub fn chunks(coding: &str, events: &[&[u8]]) -> io::Result<Vec<Vec<u8>>> {
    let mut encoder = Encoder::new(coding)?;
    let mut chunks = events.iter().map(|e| encoder.piece(e)).collect::<io::Result<Vec<_>>>()?;
    chunks.push(encoder.end()?);
    Ok(chunks)
}
