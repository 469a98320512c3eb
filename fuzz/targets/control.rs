//! The control API with its token: any path, method and body; never a panic, never an end, always a response.
#![no_main]

use leeward_fuzz::Running;
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static RUNNING: OnceLock<Running> = OnceLock::new();

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "OPTIONS"];
const PATHS: [&str; 10] = [
    "v1/status",
    "v1/stats",
    "v1/activity",
    "v1/history",
    "v1/logs",
    "v1/config",
    "v1/config/check",
    "v1/warm",
    "v1/handover",
    "v1/show",
];

fuzz_target!(|data: &[u8]| {
    let [which, how, split, rest @ ..] = data else { return };
    let running = RUNNING.get_or_init(Running::start);
    let (query, body) = rest.split_at(usize::from(*split).min(rest.len()));
    // What no query may hold (RFC 3986, section 3.4) is refused as no request at all, for which `headers` is there, and such a
    // refusal gives its client a quarter of a second to close first: nothing would get a turn besides.
    let allowed = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(byte);
    let query: String = query.iter().filter(allowed).map(|byte| char::from(*byte)).collect();
    let path = PATHS[usize::from(*which) % PATHS.len()];
    // To hand the socket on is to end; that it works is for other tests.
    if path == "v1/handover" && body.len() > 2 {
        return;
    }
    let head = format!(
        "{} /_leeward/{path}?{query} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        METHODS[usize::from(*how) % METHODS.len()],
        running.engine.address(),
        running.token,
        body.len()
    );
    let answer = running.ask(&[head.as_bytes(), body].concat());
    assert!(
        answer.starts_with(b"HTTP/1.1 "),
        "{head}{:?} -> {:?}",
        String::from_utf8_lossy(body),
        String::from_utf8_lossy(&answer)
    );
    let text = String::from_utf8_lossy(&answer);
    assert!(!text.contains(&running.token), "the token is in an answer: {text}");
    assert!(!text.starts_with("HTTP/1.1 500"), "{head}{:?} -> {text}", String::from_utf8_lossy(body));
});
