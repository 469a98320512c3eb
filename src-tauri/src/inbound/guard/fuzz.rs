//! Seeded noise against what parses bytes from outside: no panic, no read past the end, the same verdict in any slicing.
//!
//! Runs with every test; the coverage-guided fuzzers live outside the crate.

use super::{
    chunks::Chunks,
    head::{HeadLimits, check, find_end},
};

const LIMITS: HeadLimits = HeadLimits { bytes: 8192, fields: 32 };
const ROUNDS: usize = 20_000;
const SEEDS: [&[u8]; 4] = [
    b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: 127.0.0.1:8787\r\nContent-Length: 12\r\nanthropic-beta: a, b\r\n\r\nhello, world",
    b"GET / HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"\r\nHEAD /api/hello HTTP/1.0\r\nA: \r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:8787\r\nExpect: 100-continue\r\n\r\n",
];
const SPICE: [&[u8]; 9] =
    [b"\r\n", b"\n", b"\r", b"\0", b": ", b"chunked", b"Content-Length: 0", b"\x16\x03\x01", b"99999999999999999999"];

fn mutate(dice: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..dice.usize(1..6) {
        let at = dice.usize(0..=bytes.len());
        match dice.u8(0..4) {
            0 if at < bytes.len() => bytes[at] = dice.u8(..),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => drop(bytes.splice(at..at, SPICE[dice.usize(0..SPICE.len())].iter().copied())),
            _ => bytes.truncate(at),
        }
    }
}

#[test]
fn heads_survive_noise_and_slicing() {
    let mut dice = fastrand::Rng::with_seed(8787);
    let mut complete = 0;
    for _ in 0..ROUNDS {
        let mut bytes = SEEDS[dice.usize(0..SEEDS.len())].to_vec();
        mutate(&mut dice, &mut bytes);
        let whole = find_end(&bytes, 0, LIMITS);
        // The same bytes in two pieces end at the same place, or are refused for the same reason.
        let cut = dice.usize(0..=bytes.len());
        let sliced = match find_end(&bytes[..cut], 0, LIMITS) {
            Ok(None) => find_end(&bytes, cut, LIMITS),
            done => done,
        };
        assert_eq!(whole, sliced, "{:?} cut at {cut}", String::from_utf8_lossy(&bytes));
        if let Ok(Some(end)) = whole {
            assert!(end <= bytes.len());
            if check(&bytes[..end], LIMITS).is_ok() {
                complete += 1;
                // Whatever passes is a request that another strict parser reads as well, to the same end.
                let mut fields = [httparse::EMPTY_HEADER; 64];
                let mut request = httparse::Request::new(&mut fields);
                assert_eq!(request.parse(&bytes).unwrap(), httparse::Status::Complete(end));
                let lengths = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("content-length")).count();
                let codings = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("transfer-encoding")).count();
                assert!(lengths + codings <= 1, "{:?}", String::from_utf8_lossy(&bytes));
            }
        }
    }
    assert!(complete > ROUNDS / 50, "the noise leaves too few heads whole to mean anything: {complete}");
}

#[test]
fn chunks_survive_noise_and_slicing() {
    let mut dice = fastrand::Rng::with_seed(8806);
    for _ in 0..ROUNDS {
        let mut bytes = b"5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nnext".to_vec();
        mutate(&mut dice, &mut bytes);
        let whole = Chunks::default().scan(&bytes);
        let mut chunks = Chunks::default();
        let (mut at, mut sliced) = (0, Some((0, false)));
        while let Some((_, false)) = sliced
            && at < bytes.len()
        {
            let to = (at + dice.usize(1..4)).min(bytes.len());
            sliced = chunks.scan(&bytes[at..to]);
            if let Some((taken, done)) = sliced {
                assert!(done || taken == to - at, "a body that goes on takes all it is given");
                at += taken;
            }
        }
        assert_eq!(whole.is_none(), sliced.is_none(), "{:?}", String::from_utf8_lossy(&bytes));
        if let (Some((end, done)), Some((_, done_sliced))) = (whole, sliced) {
            assert_eq!((end, done), (at, done_sliced), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
