//! Every coding: what is seen of it however it is cut, how it ends, what it refuses, and what it costs.

use super::*;
use http::HeaderValue;
use scripted::coding::{CODINGS, chunks, decode};

const EVENTS: [&[u8]; 4] = [b"event: a\n\n", b"data: two and two\n\n", b"data: two and two\n\n", b"event: end\n\n"];

fn coding(name: &str) -> Coding {
    match name {
        "gzip" => Coding::Gzip,
        "br" => Coding::Brotli,
        "zstd" => Coding::Zstd,
        _ => Coding::Deflate,
    }
}

fn read(decoder: &mut Decoder, bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    decoder.feed(bytes, |piece| text.extend_from_slice(piece));
    text
}

#[test]
fn each_event_is_seen_as_soon_as_it_is_there() {
    for (name, _) in CODINGS {
        let mut decoder = Decoder::new(coding(name));
        assert!(!decoder.is_open(), "{name}");
        let chunks = chunks(name, &EVENTS).unwrap();
        for (event, chunk) in EVENTS.iter().zip(&chunks) {
            assert_eq!(read(&mut decoder, chunk), *event, "{name}");
            assert!(decoder.is_open(), "{name}");
        }
        assert_eq!(read(&mut decoder, &chunks[4]), b"", "{name}");
        assert!(!decoder.is_open() && !decoder.is_lost(), "{name}");
        assert_eq!(decoder.ending().as_deref(), Some(&b""[..]), "{name}");
    }
}

#[test]
fn the_same_is_seen_however_it_is_cut() {
    for (name, _) in CODINGS {
        let all = chunks(name, &EVENTS).unwrap().concat();
        for size in [1, 2, 3, 7] {
            let mut decoder = Decoder::new(coding(name));
            let text: Vec<u8> = all.chunks(size).flat_map(|c| read(&mut decoder, c)).collect();
            assert_eq!(text, EVENTS.concat(), "{name} by {size}");
            assert!(!decoder.is_open() && !decoder.is_lost(), "{name} by {size}");
        }
    }
}

/// After a flush a body can be ended; a client reads the end, and all before it. Anywhere else nothing can end it.
#[test]
fn a_body_is_ended_where_that_is_one() {
    for (name, _) in CODINGS {
        let chunks = chunks(name, &EVENTS).unwrap();
        let (flushed, rest) = (chunks[..4].concat(), chunks.concat());
        for at in 1..=rest.len() {
            let mut decoder = Decoder::new(coding(name));
            let text = read(&mut decoder, &rest[..at]);
            let ending = decoder.ending();
            assert!(ending.is_some() || at != flushed.len(), "{name}: nothing ends it after a flush");
            if let Some(ending) = ending {
                let whole = [&rest[..at], &ending].concat();
                assert_eq!(decode(name, &whole).unwrap(), text, "{name} at {at}");
            }
        }
    }
}

#[test]
fn a_second_member_and_what_comes_after_the_end() {
    let all = chunks("gzip", &EVENTS).unwrap().concat();
    let mut decoder = Decoder::new(Coding::Gzip);
    assert_eq!(read(&mut decoder, &[&all[..], &all].concat()), [EVENTS.concat(), EVENTS.concat()].concat());
    for (name, _) in CODINGS.iter().filter(|(name, _)| *name != "zstd") {
        let all = chunks(name, &EVENTS).unwrap().concat();
        let mut decoder = Decoder::new(coding(name));
        assert_eq!(read(&mut decoder, &[&all[..], b"\0\0rubbish"].concat()), EVENTS.concat(), "{name}");
        assert!(!decoder.is_open() && !decoder.is_lost(), "{name}: clients ignore it");
    }
}

#[test]
fn a_head_of_a_member_may_hold_everything() {
    let plain = chunks("gzip", &EVENTS).unwrap().concat();
    let extras = [b"\x03\0xyz".as_slice(), b"name\0", b"comment\0", b"\x12\x34"].concat();
    let head = [b"\x1f\x8b\x08\x1e\0\0\0\0\0\xff".as_slice(), &extras].concat();
    let mut decoder = Decoder::new(Coding::Gzip);
    assert_eq!(read(&mut decoder, &[&head, &plain[10..]].concat()), EVENTS.concat());
    assert!(!decoder.is_open() && !decoder.is_lost());
    let endless = [b"\x1f\x8b\x08\x08\0\0\0\0\0\xff".as_slice(), &[b'n'; 9000]].concat();
    read(&mut decoder, &endless);
    assert!(decoder.is_lost(), "a name without end is kept by nobody");
}

#[test]
fn what_is_not_what_it_is_called_is_lost_and_shows_nothing_more() {
    for (name, _) in CODINGS {
        let mut decoder = Decoder::new(coding(name));
        read(&mut decoder, &[0xFF; 64]);
        assert!(decoder.is_lost() && !decoder.is_open() && decoder.ending().is_none(), "{name}");
        let all = chunks(name, &EVENTS).unwrap().concat();
        assert_eq!(read(&mut decoder, &all), b"", "{name}");
    }
    let mut wrong = chunks("gzip", &EVENTS).unwrap().concat();
    let at = wrong.len() - 6;
    wrong[at] ^= 1;
    let mut decoder = Decoder::new(Coding::Gzip);
    read(&mut decoder, &wrong);
    assert!(decoder.is_lost(), "a wrong checksum");
}

/// A little that becomes very much is given up, long before it costs anything.
#[test]
fn a_bomb_is_bounded() {
    let zeros = vec![0; 16 << 20];
    for (name, _) in CODINGS {
        let bomb = chunks(name, &[&zeros]).unwrap().concat();
        let (mut decoder, mut seen) = (Decoder::new(coding(name)), 0);
        decoder.feed(&bomb, |piece| seen += piece.len() as u64);
        assert!(decoder.is_lost(), "{name}: {} bytes became {seen}", bomb.len());
        assert!(seen <= FREE.max(bomb.len() as u64 * RATIO), "{name}: {seen}");
    }
}

/// Tens of thousands of pings shrink much, and are no bomb.
#[test]
fn a_long_stream_of_like_events_is_no_bomb() {
    let ping = b"event: ping\ndata: {\"type\": \"ping\"}\n\n".as_slice();
    for (name, _) in CODINGS {
        let mut decoder = Decoder::new(coding(name));
        let mut seen = 0;
        for chunk in chunks(name, &vec![ping; 32_000]).unwrap() {
            decoder.feed(&chunk, |piece| seen += piece.len());
        }
        assert_eq!((seen, decoder.is_lost()), (32_000 * ping.len(), false), "{name}");
    }
}

#[test]
fn only_one_known_coding_is_looked_through() {
    for (fields, wanted) in [
        (&[][..], Coded::Plain),
        (&["identity"], Coded::Plain),
        (&["", " Identity ,"], Coded::Plain),
        (&["gzip"], Coded::As(Coding::Gzip)),
        (&["X-GZip"], Coded::As(Coding::Gzip)),
        (&["identity", "deflate"], Coded::As(Coding::Deflate)),
        (&[" br "], Coded::As(Coding::Brotli)),
        (&["zstd"], Coded::As(Coding::Zstd)),
        (&["gzip, br"], Coded::Opaque),
        (&["gzip", "gzip"], Coded::Opaque),
        (&["compress"], Coded::Opaque),
        (&["dcb"], Coded::Opaque),
    ] {
        let mut headers = HeaderMap::new();
        fields.iter().for_each(|f| _ = headers.append(CONTENT_ENCODING, HeaderValue::from_static(f)));
        assert_eq!(Coded::of(&headers), wanted, "{fields:?}");
    }
}

/// A frame of zstd as the library of a server makes it, with its checksum or without.
fn frame(checksum: bool, text: &[u8]) -> Vec<u8> {
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::ChecksumFlag(checksum)).unwrap();
    let mut frame = [0u8; 1024];
    let length = context.compress2(&mut frame[..], text).unwrap();
    frame[..length].to_vec()
}

#[test]
fn frames_of_zstd_with_a_checksum_and_without() {
    let text = EVENTS.concat();
    let (plain, checked) = (frame(false, &text), frame(true, &text));
    assert_eq!(checked.len(), plain.len() + 4, "the checksum is there");
    for frames in [[&plain, &checked], [&checked, &plain], [&checked, &checked]] {
        for size in [1, 5, usize::MAX] {
            let mut decoder = Decoder::new(Coding::Zstd);
            let all = frames.map(Vec::as_slice).concat();
            let seen: Vec<u8> = all.chunks(size).flat_map(|c| read(&mut decoder, c)).collect();
            assert_eq!(seen, [&text[..], &text].concat(), "by {size}");
            assert!(!decoder.is_open() && !decoder.is_lost(), "by {size}");
        }
    }
    let mut wrong = checked.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let mut decoder = Decoder::new(Coding::Zstd);
    read(&mut decoder, &wrong);
    assert!(decoder.is_lost(), "a wrong checksum");
    let mut decoder = Decoder::new(Coding::Zstd);
    read(&mut decoder, &checked[..checked.len() - 4]);
    assert!(decoder.is_open() && decoder.ending().is_none(), "nothing but its checksum ends it");
}
