//! The scanner of server-sent events: the same events however the bytes are cut, and none out of nothing.
#![no_main]

use leeward::message::sse::{Kind, Scanner};
use libfuzzer_sys::fuzz_target;

fn kinds(pieces: &[&[u8]], keep: usize) -> (Vec<Kind>, bool, bool, bool) {
    let mut scanner = Scanner::new(keep);
    let mut seen = Vec::new();
    pieces.iter().for_each(|piece| scanner.feed(piece, |kind| seen.push(kind)));
    (seen, scanner.is_complete(), scanner.promises_an_end(), scanner.at_boundary())
}

fuzz_target!(|data: &[u8]| {
    let Some((&cut, text)) = data.split_first() else { return };
    let keep = usize::from(cut) * 64;
    let whole = kinds(&[text], keep);
    let (one, two) = text.split_at(usize::from(cut).min(text.len()));
    assert_eq!(whole, kinds(&[one, two], keep), "cut at {cut}");
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(whole, kinds(&bytes, keep), "byte by byte");
    let lines = text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    assert!(whole.0.len() <= lines, "more events than lines");
    // After the commit point only the end is looked for: it must not read past anything either.
    let mut glancing = Scanner::new(keep);
    glancing.feed(one, |_| ());
    glancing.glance(cut % 2 == 0);
    glancing.feed(two, |_| ());
});
