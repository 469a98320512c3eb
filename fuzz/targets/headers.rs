//! Any bytes on a client's connection, through the whole engine to an upstream that believes nobody: what arrives there is
//! one clear request for each that was let in, hop-by-hop fields gone, and the listener goes on.
#![no_main]

use leeward_fuzz::Running;
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static RUNNING: OnceLock<Running> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let running = RUNNING.get_or_init(Running::start);
    let mut bytes = Vec::with_capacity(data.len() + 64);
    // Most of what a fuzzer thinks of is refused at the first line; so the port is right wherever it says `@`.
    let host = running.engine.address().to_string();
    for byte in data {
        if *byte == b'@' { bytes.extend_from_slice(host.as_bytes()) } else { bytes.push(*byte) }
    }
    let answer = running.exchange(&bytes);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&answer));
    // Each request that was answered 200 reached the upstream or is Leeward's own; none came out of nothing.
    let reached = running.upstream.take();
    let asked = data.windows(4).filter(|end| *end == b"HTTP").count();
    assert!(reached.len() <= asked * 3, "{reached:?} of {:?}", String::from_utf8_lossy(&bytes));
});
