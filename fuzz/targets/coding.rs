//! The decoder of content codings: the same text however the bytes are cut, bounded, and an end that is one.
#![no_main]

use leeward::message::coding::{Coding, Decoder};
use libfuzzer_sys::fuzz_target;

/// What came of the pieces: the text, whether it is lost, whether it may end here.
fn decoded<'a>(coding: Coding, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, bool, bool, Decoder) {
    let (mut decoder, mut text) = (Decoder::new(coding), Vec::new());
    pieces.for_each(|piece| decoder.feed(piece, |part| text.extend_from_slice(part)));
    (text, decoder.is_lost(), decoder.is_open(), decoder)
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let coding = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd][usize::from(first % 4)];
    let (whole, lost, open, mut decoder) = decoded(coding, std::iter::once(bytes));
    let bound = (1 << 20).max(bytes.len() * 200);
    assert!(whole.len() <= bound, "{} bytes became {}", bytes.len(), whole.len());
    let cut = usize::from(first) + 1;
    let (pieces, pieces_lost, pieces_open, _) = decoded(coding, bytes.chunks(cut));
    // What is lost is lost at another byte where less of it is there at a time.
    if !lost && !pieces_lost {
        assert_eq!((&whole, open), (&pieces, pieces_open), "{coding:?} cut by {cut}");
    }
    if let Some(ending) = decoder.ending() {
        let (ended, lost, open, _) = decoded(coding, [bytes, &ending].into_iter());
        assert!(ended == whole && !lost && !open, "{coding:?}: no end");
    }
});
