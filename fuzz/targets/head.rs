//! The guard of request heads and of chunked bodies: the same verdict in any slicing, and what passes is read alike by
//! another strict parser.
#![no_main]

use leeward::inbound::guard::{
    chunks::Chunks,
    head::{Framing, HeadLimits, check, find_end},
};
use libfuzzer_sys::fuzz_target;

const LIMITS: HeadLimits = HeadLimits { bytes: 8192, fields: 32 };

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let cut = usize::from(cut).min(bytes.len());
    let whole = find_end(bytes, 0, LIMITS);
    let sliced = match find_end(&bytes[..cut], 0, LIMITS) {
        Ok(None) => find_end(bytes, cut, LIMITS),
        done => done,
    };
    assert_eq!(whole, sliced, "cut at {cut}");
    let Ok(Some(end)) = whole else { return };
    let Ok(framing) = check(&bytes[..end], LIMITS) else { return };
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(request.parse(bytes).unwrap(), httparse::Status::Complete(end));
    let named = |name: &str| request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
    let (lengths, codings) = (named("content-length"), named("transfer-encoding"));
    assert!(lengths + codings <= 1);
    let body = &bytes[end..];
    if framing == Framing::Chunked {
        assert_eq!(codings, 1);
        let mut at_once = Chunks::default();
        let mut in_two = Chunks::default();
        let expected = at_once.scan(body);
        let cut = cut.min(body.len());
        let found = match in_two.scan(&body[..cut]) {
            Some((at, false)) => in_two.scan(&body[cut..]).map(|(more, ends)| (at + more, ends)),
            ended => ended,
        };
        assert_eq!(expected, found, "cut at {cut}");
    }
});
