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
    // One answer a request, and one for what is none: nothing that was sent as a body is answered as a request. What reached
    // the upstream is judged there.
    let count = |text: &[u8]| text.windows(7).filter(|at| *at == b"HTTP/1.").count();
    assert!(count(&answer) <= count(data) + 1, "{:?} -> {:?}", String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&answer));
});
