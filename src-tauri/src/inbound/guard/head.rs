//! The first look at a request's raw head, before any parser has normalised it away. Pure: bytes in, verdict out.
//!
//! hyper resolves some ambiguities silently (it drops `Content-Length` beside `Transfer-Encoding`) and answers others
//! without a word. Here they are refused with a sentence, and the message's framing is known from then on.

use memchr::memchr_iter;
use std::mem::MaybeUninit;

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Larger than `limits.header_bytes`.
    TooLarge,
    /// More fields than `limits.header_count`.
    TooManyFields,
    /// `Content-Length` twice, or beside `Transfer-Encoding` (RFC 9112 section 6.3).
    AmbiguousLength,
    /// A `Content-Length` that is no number.
    BadLength,
    /// A transfer coding other than `chunked`, or one in HTTP/1.0.
    BadCoding,
    /// Lines that end in LF alone, or fields that go on in the next line (RFC 9112 section 5.2).
    BadLines,
    /// `Host` missing (in HTTP/1.1) or given twice (RFC 9112 section 3.2).
    BadHost,
    /// A TLS handshake on the plain port.
    Tls,
    /// An HTTP/2 preface.
    Http2,
    /// A target that is no URL.
    BadTarget,
    /// Anything else that is not HTTP/1.
    Garbage,
    /// Not complete within `client.head`.
    TooSlow,
}

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes; 0 without a body.
    Length(u64),
    /// Chunks and trailers.
    Chunked,
}

/// What a client may send at most.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes of the whole head.
    pub bytes: usize,
    /// Header fields.
    pub fields: usize,
}

/// Fields that fit on the stack; more than any agent sends.
const STACK_FIELDS: usize = 128;

/// Looks for the end of the head. `from` is where the last look ended, so that a slow sender costs no more than a fast one.
///
/// # Errors
/// As soon as the bytes cannot become a valid head.
pub fn find_end(bytes: &[u8], from: usize, limits: HeadLimits) -> Result<Option<usize>, Refusal> {
    match bytes.first() {
        Some(0x16) => return Err(Refusal::Tls),
        Some(b)
            if !(b.is_ascii_alphabetic()
                || matches!(b, b'\r' | b'\n' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')) =>
        {
            return Err(Refusal::Garbage);
        }
        _ => {}
    }
    // Empty lines before the request line are tolerated (RFC 9112 section 2.2).
    let leading = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    // The three bytes before `from` may be the beginning of the end.
    let start = from.saturating_sub(3).max(leading);
    for at in memchr_iter(b'\n', &bytes[start..]).map(|i| i + start) {
        let rest = &bytes[at + 1..];
        let end = if rest.starts_with(b"\r\n") {
            at + 3
        } else if rest.starts_with(b"\n") {
            at + 2
        } else {
            continue;
        };
        return if end > limits.bytes { Err(Refusal::TooLarge) } else { Ok(Some(end)) };
    }
    if bytes.len() >= limits.bytes { Err(Refusal::TooLarge) } else { Ok(None) }
}

/// Judges a complete head.
///
/// # Errors
/// `Refusal`, for the response to be written.
pub fn check(head: &[u8], limits: HeadLimits) -> Result<Framing, Refusal> {
    if limits.fields <= STACK_FIELDS {
        let mut fields = [const { MaybeUninit::uninit() }; STACK_FIELDS];
        judge(head, &mut fields[..limits.fields])
    } else {
        judge(head, &mut vec![MaybeUninit::uninit(); limits.fields])
    }
}

fn judge<'a>(head: &'a [u8], fields: &mut [MaybeUninit<httparse::Header<'a>>]) -> Result<Framing, Refusal> {
    if head.starts_with(b"PRI * HTTP/2") {
        return Err(Refusal::Http2);
    }
    if has_bad_lines(head) {
        return Err(Refusal::BadLines);
    }
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, fields) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Refusal::Garbage),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooManyFields),
        Err(_) => return Err(Refusal::Garbage),
    }
    if !request.path.is_some_and(is_target) {
        return Err(Refusal::BadTarget);
    }
    let http11 = request.version == Some(1);
    let (mut length, mut chunked, mut hosts) = (None, false, 0u32);
    for field in request.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let parsed = parse_length(field.value).ok_or(Refusal::BadLength)?;
            if length.replace(parsed).is_some() {
                return Err(Refusal::AmbiguousLength);
            }
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !http11 || !field.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::BadCoding);
            }
            chunked = true;
        } else if field.name.eq_ignore_ascii_case("host") {
            hosts += 1;
        }
    }
    if hosts > 1 || (http11 && hosts == 0) {
        return Err(Refusal::BadHost);
    }
    match (length, chunked) {
        (Some(_), true) => Err(Refusal::AmbiguousLength),
        (None, true) => Ok(Framing::Chunked),
        (length, false) => Ok(Framing::Length(length.unwrap_or(0))),
    }
}

/// True for what hyper takes, which answers anything else without a word.
fn is_target(target: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&b);
    (target.len() < 1 << 14 && target.starts_with('/') && target.bytes().all(plain)) || http::Uri::try_from(target).is_ok()
}

/// Digits only: a sign, a list or white space inside is refused (RFC 9110 section 8.6).
fn parse_length(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn has_bad_lines(head: &[u8]) -> bool {
    let start = head.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let head = &head[start..];
    memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r' || matches!(head.get(at + 1), Some(b' ' | b'\t')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 8192, fields: 10 };

    fn verdict(text: &str) -> Result<Framing, Refusal> {
        let end = find_end(text.as_bytes(), 0, HeadLimits { bytes: 1 << 20, ..LIMITS })?.expect("a complete head");
        check(&text.as_bytes()[..end], LIMITS)
    }

    #[test]
    fn sound_heads_tell_their_framing() {
        for (text, want) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", Framing::Length(0)),
            ("GET / HTTP/1.0\r\n\r\n", Framing::Length(0)),
            ("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", Framing::Length(0)),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n", Framing::Length(12)),
            ("POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: Chunked\r\n\r\n", Framing::Chunked),
        ] {
            assert_eq!(verdict(text), Ok(want), "{text:?}");
        }
    }

    #[test]
    fn doubtful_heads_are_refused() {
        let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(65_535));
        let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(10));
        for (text, want) in [
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::AmbiguousLength),
            ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", Refusal::AmbiguousLength),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\n", Refusal::AmbiguousLength),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\n", Refusal::BadLength),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\n", Refusal::BadLength),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", Refusal::BadLength),
            ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Refusal::BadCoding),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::BadCoding),
            ("GET / HTTP/1.1\nHost: x\n\n", Refusal::BadLines),
            ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", Refusal::BadLines),
            ("GET / HTTP/1.1\r\n\r\n", Refusal::BadHost),
            ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", Refusal::BadHost),
            ("PRI * HTTP/2.0\r\n\r\n", Refusal::Http2),
            ("GET /v1/models/<x> HTTP/1.1\r\nHost: x\r\n\r\n", Refusal::BadTarget),
            ("GET nowhere/at-all HTTP/1.1\r\nHost: x\r\n\r\n", Refusal::BadTarget),
            (long.as_str(), Refusal::BadTarget),
            ("hello there\r\n\r\n", Refusal::Garbage),
            ("GET / HTTP/1.1\r\nHost x\r\n\r\n", Refusal::Garbage),
            ("GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", Refusal::Garbage),
            (many.as_str(), Refusal::TooManyFields),
        ] {
            assert_eq!(verdict(text), Err(want), "{text:?}");
        }
        assert_eq!(find_end(&[0x16, 3, 1], 0, LIMITS), Err(Refusal::Tls));
        assert_eq!(find_end(&[0, 1, 2], 0, LIMITS), Err(Refusal::Garbage));
    }

    #[test]
    fn the_end_is_found_however_the_bytes_arrive() {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nrest";
        let end = head.len() - 4;
        for step in 1..=head.len() {
            let (mut from, mut n) = (0, step.min(head.len()));
            let found = loop {
                match find_end(&head[..n], from, LIMITS).unwrap() {
                    Some(found) => break found,
                    None => (from, n) = (n, (n + step).min(head.len())),
                }
            };
            assert_eq!(found, end, "in steps of {step}");
            assert!(n - end < step.max(5), "found as soon as it was there: {n}");
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let mut bomb = b"GET / HTTP/1.1\r\nHost: x\r\n".to_vec();
        bomb.resize(LIMITS.bytes, b'a');
        assert_eq!(find_end(&bomb, 0, LIMITS), Err(Refusal::TooLarge));
        assert_eq!(find_end(&bomb[..LIMITS.bytes - 1], 0, LIMITS), Ok(None));
    }
}
