//! The scanner over every way of cutting a stream into chunks, and over noise.

use super::*;

fn kinds(scanner: &mut Scanner, chunks: &[&[u8]]) -> Vec<Kind> {
    let mut all = Vec::new();
    for chunk in chunks {
        scanner.feed(chunk, |kind| all.push(kind));
    }
    all
}

const STREAM: &str = "\u{feff}event: message_start\r\ndata: {\"type\":\"message_start\"}\r\n\r\n: a comment\n\nevent: ping\rdata: {}\r\r\
    event: content_block_start\ndata: {\"content_block\":\ndata: {\"type\":\"text\",\"text\":\"\"}}\n\n\n\
    event: content_block_delta\ndata: {}\nid: 7\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

const KINDS: [Kind; 6] = [Kind::Preamble, Kind::Ping, Kind::Ping, Kind::Preamble, Kind::Content, Kind::Last];

#[test]
fn every_cut_of_a_stream_reads_the_same() {
    let bytes = STREAM.as_bytes();
    for first in 0..=bytes.len() {
        for second in [first, (first + 1).min(bytes.len()), (first + 7).min(bytes.len())] {
            let mut scanner = Scanner::new(1024);
            let chunks = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(kinds(&mut scanner, &chunks), KINDS, "cut at {first} and {second}");
            assert!(scanner.at_boundary() && scanner.is_complete());
        }
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(kinds(&mut Scanner::new(1024), &single), KINDS);
}

#[test]
fn a_boundary_is_only_between_events_and_the_end_only_behind_the_last_one() {
    let bytes = "event: message_stop\ndata: {}\n\n".as_bytes();
    let mut scanner = Scanner::new(1024);
    assert!(scanner.at_boundary());
    for (at, byte) in bytes.iter().enumerate() {
        scanner.feed(&[*byte], |_| {});
        let end = at + 1 == bytes.len();
        assert_eq!((scanner.at_boundary(), scanner.is_complete()), (end, end), "after {} bytes", at + 1);
    }
}

#[test]
fn long_events_cost_no_memory() {
    let mut scanner = Scanner::new(100);
    scanner.feed(b"event: content_block_delta\ndata: ", |_| {});
    for _ in 0..1000 {
        scanner.feed(&[b'x'; 1000], |_| {});
    }
    assert!(scanner.line.capacity() < 1000 && !scanner.at_boundary());
    scanner.feed(b"\ndata: more\n\n", |kind| assert_eq!(kind, Kind::Content));
    assert!(scanner.at_boundary() && scanner.data.capacity() < 1000);
}

#[test]
fn a_glance_still_tells_the_end() {
    let big = "x".repeat(10_000);
    for (last, whole) in [
        ("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned(), false),
        ("data: [DONE]\n\n".to_owned(), false),
        (format!("event: response.completed\ndata: {{\"type\":\"response.completed\",\"x\":\"{big}\"}}\n\n"), false),
        (format!("data: {{\"type\":\"response.completed\",\"x\":\"{big}\"}}\n\n"), false),
        (format!("data: {{\"candidates\":[{{\"content\":\"{big}\",\"finishReason\":\"STOP\"}}]}}\r\n\r\n"), true),
    ] {
        let mut scanner = Scanner::new(64 << 10);
        scanner.feed(format!("data: {{\"content\":\"{big}\"}}\n\nevent: x\nda").as_bytes(), |_| {});
        scanner.glance(whole);
        scanner.feed(b"ta: y\n\n", |kind| assert_eq!(kind, Kind::Content));
        assert!(!scanner.is_complete());
        scanner.feed(last.as_bytes(), |_| {});
        assert!(scanner.is_complete(), "{}", &last[..40.min(last.len())]);
    }
}

/// Noise of the format's own bytes: never a panic, and chunks make no difference.
#[test]
fn noise_reads_the_same_however_it_is_cut() {
    let words: [&[u8]; 14] = [
        b"\n",
        b"\r",
        b"\r\n",
        b"data",
        b": ",
        b":",
        b"event",
        b"[DONE]",
        b"message_stop",
        b"{\"type\":\"ping\"}",
        b"\xff",
        b"\0",
        b"{",
        b" ",
    ];
    let mut dice = fastrand::Rng::with_seed(7);
    for round in 0..3000 {
        let noise: Vec<u8> = (0..dice.usize(0..60)).flat_map(|_| words[dice.usize(0..words.len())].iter().copied()).collect();
        let keep = dice.usize(0..200);
        let glances = dice.bool();
        let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut scanner = Scanner::new(keep);
            if glances {
                scanner.glance(keep.is_multiple_of(2));
            }
            let mut all = Vec::new();
            pieces.for_each(|p| scanner.feed(p, |kind| all.push(kind)));
            (all, scanner.at_boundary(), scanner.is_complete())
        };
        let whole = read(&mut std::iter::once(&noise[..]));
        let size = dice.usize(1..9);
        assert_eq!(
            read(&mut noise.chunks(size)),
            whole,
            "round {round}, pieces of {size}: {:?}",
            String::from_utf8_lossy(&noise)
        );
    }
}
