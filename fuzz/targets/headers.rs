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
    // One response a request, and one for what is none: nothing that was sent as a body is answered as a request. What reached
    // the upstream is judged there.
    let asked = data.windows(7).filter(|at| *at == b"HTTP/1.").count();
    assert!(answers(&answer) <= asked + 1, "{:?} -> {:?}", String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&answer));
});

/// The status lines in what came back: `HTTP/1.1 505 `, not the `HTTP/1.1` of a sentence that explains.
fn answers(bytes: &[u8]) -> usize {
    let begins = |at: &&[u8]| at.starts_with(b"HTTP/1.") && at[8] == b' ' && at[9..12].iter().all(u8::is_ascii_digit);
    bytes.windows(12).filter(begins).count()
}
