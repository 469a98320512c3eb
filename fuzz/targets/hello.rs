//! A CONNECT and the TLS hello behind it: the same verdict in any slicing, and nothing that ends a TLS which is for another host.
#![no_main]

use leeward::inbound::{
    intercept::{
        hello::{Hello, Look},
        shape::Shape,
    },
    tunnel::{hello, request},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else { return };
    if let Ok((asked, end)) = request::parse(bytes) {
        assert!(end <= bytes.len() && !asked.shown().is_empty());
        assert!(Shape::of(&bytes[..end]).is_some());
    }
    let (first, second) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let whole = Hello::default().look(bytes);
    let mut sliced = Hello::default();
    let sliced = match sliced.look(first) {
        Look::More => sliced.look(second),
        seen => seen,
    };
    // What is no TLS may show that with its first bytes or only with all.
    if let (Look::Seen(one), Look::Seen(other)) = (&whole, &sliced) {
        assert_eq!(one, other);
        assert!(one.fits("").is_err());
    }
    assert_eq!(whole == Look::More, sliced == Look::More);
    let (mut at_once, mut in_two) = (hello::Hello::default(), hello::Hello::default());
    at_once.add(bytes);
    in_two.add(first);
    in_two.add(second);
    assert_eq!(at_once.again(), in_two.again());
});
