//! What passes through, and what an upstream that fails comes to for a client.

use crate::{
    process::{LIMIT, Serving, ask},
    upstream::{Fault, Upstream},
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

/// One that is not streamed; the answer whole.
pub fn message(address: SocketAddr) -> std::io::Result<String> {
    let body = r#"{"model":"claude-test","max_tokens":64,"messages":[{"role":"user","content":"hello"}]}"#;
    ask(address, "POST /v1/messages HTTP/1.1", "content-type: application/json\r\n", body)
}

pub fn pass(serving: &Serving) -> String {
    let answer = message(serving.address).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.to_ascii_lowercase().contains("x-leeward-attempts: 1"), "{answer}");
    let events = serving.ask("GET /sse/200 HTTP/1.1", "", "").unwrap().matches("data:").count();
    assert!(events >= 200, "{events}");
    let foreign = serving.ask("GET /v1/models HTTP/1.1", "origin: http://evil.example\r\n", "").unwrap();
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
    let smuggled = serving.ask("POST /v1/messages HTTP/1.1", "transfer-encoding: chunked\r\n", "").unwrap();
    assert!(smuggled.starts_with("HTTP/1.1 400"), "{smuggled}");
    format!("{events} events whole; a foreign origin 403, ambiguous framing 400")
}

/// What can be repaired is, the client seeing nothing of it; what cannot is told.
pub fn faults(serving: &Serving, upstream: &Upstream) -> String {
    let streamed = || {
        let body = r#"{"model":"claude-test","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
        serving.ask("POST /v1/messages HTTP/1.1", "content-type: application/json\r\n", body).unwrap()
    };
    let repaired = [
        vec![Fault::ResetBehindRequest],
        vec![Fault::ResetInHead],
        vec![Fault::ResetBeforeContent],
        // The connection that is kept breaks, and so do the next two, before they are used and behind the request.
        vec![Fault::ResetBehindRequest, Fault::ResetAtAccept, Fault::ResetInHead],
    ];
    for faults in &repaired {
        upstream.fail(faults);
        let answer = streamed();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("message_stop"), "{faults:?}: {answer}");
        // A connection that breaks before it is used may be made again without a new attempt.
        let dials = faults.iter().filter(|fault| **fault == Fault::ResetAtAccept).count();
        let attempts = answer
            .to_ascii_lowercase()
            .split_once("x-leeward-attempts: ")
            .and_then(|(_, rest)| rest.split("\r\n").next()?.parse::<usize>().ok());
        let expected = faults.len() + 1 - dials..=faults.len() + 1;
        assert!(attempts.is_some_and(|n| expected.contains(&n)) && upstream.left() == 0, "{faults:?}: {answer}");
        assert_eq!(answer.matches("message_start\n").count(), 1, "{faults:?}: {answer}");
    }
    upstream.fail(&[Fault::CutInContent]);
    let cut = streamed();
    assert!(cut.contains("text_delta") && !cut.contains("message_stop") && !cut.ends_with("0\r\n\r\n"), "{cut}");
    let count = repaired.iter().flatten().count();
    format!("{count} resets behind the request, in the head, before the first content: repaired; a cut in the content: aborted")
}

/// A stream of 40 events in four seconds that has begun.
pub fn slow_stream(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "GET /sse/40?delay_ms=100 HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut first = [0u8; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}
