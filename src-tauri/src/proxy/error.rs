//! The only place that turns an error of a request into an HTTP answer: status, sentence, whose fault, in the client's
//! dialect. Leeward's own paths have errors of their own.

mod dialect;

pub(super) use dialect::Dialect;

use super::{guard, guard::head, reply::Reply, upstream::Failure};
use crate::status::traffic::Cause;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use std::time::Duration;

/// Everything that Leeward itself can have to say to a client instead of an answer.
#[derive(Debug)]
pub(super) enum Error {
    /// The guard refused the request.
    Guard(guard::Refusal),
    /// No upstream of that name.
    UnknownUpstream(String),
    /// Name and path make no valid target.
    BadTarget,
    /// The request's body grew over the limit.
    BodyTooLarge,
    /// The request's body stalled or was broken.
    BodyBroken(String),
    /// Too many connections.
    OverCap(usize),
    /// The upstream could not be reached, or broke; all that could be tried was tried.
    Upstream(Failure),
    /// No connection could be made for as long as a request may be parked; the next one is tried after this time.
    Parked(Failure, Duration),
}

/// What an error means, before it is put into a dialect.
struct Meaning {
    status: StatusCode,
    code: &'static str,
    sentence: String,
    /// Whether trying again can help; SDKs obey `x-should-retry`.
    retry: bool,
}

impl Meaning {
    fn new(status: u16, code: &'static str, retry: bool, sentence: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code, sentence: sentence.into(), retry }
    }
}

fn meaning(error: &Error) -> Meaning {
    use guard::Refusal as R;
    // A function, not a closure: each sentence may be a `&str` or a `String`.
    fn m(status: u16, code: &'static str, retry: bool, sentence: impl Into<String>) -> Meaning {
        Meaning::new(status, code, retry, sentence)
    }
    match error {
        Error::Guard(R::ForeignHost) => m(
            421,
            "foreign-host",
            false,
            "The Host header names neither this machine nor a host that Leeward's config allows; to reach Leeward by another name, add it to allowed_hosts.",
        ),
        Error::Guard(R::ForeignOrigin) => m(
            403,
            "foreign-origin",
            false,
            "Leeward answers programs on this machine, not web pages: the request carries a foreign Origin.",
        ),
        Error::Guard(R::Token) => {
            m(401, "client-token", false, "Leeward's config asks for a client token: send it in x-leeward-token.")
        }
        Error::Guard(R::Connect) => m(
            501,
            "connect-not-supported",
            false,
            "Leeward does not tunnel yet: give the agent Leeward's address as its base URL (`leeward wrap`), not as HTTPS_PROXY.",
        ),
        Error::Guard(R::Upgrade) => m(
            501,
            "upgrade-not-supported",
            false,
            "Leeward does not carry WebSockets or other upgrades yet: use the agent's plain HTTP transport (`leeward wrap` sets it).",
        ),
        Error::Guard(R::ForeignTarget) => m(
            421,
            "foreign-target",
            false,
            "Leeward is not a forward proxy: the request line names another host. Use Leeward's address as the base URL (`leeward wrap`), not as HTTP_PROXY.",
        ),
        Error::Guard(R::DotSegments) => m(
            400,
            "dot-segments",
            false,
            "The path has a segment `.` or `..`, which servers read in different ways; send the path resolved.",
        ),
        Error::Guard(R::BodyTooLarge) | Error::BodyTooLarge => {
            m(413, "body-too-large", false, "The request's body is larger than limits.body_bytes in Leeward's config.")
        }
        Error::BodyBroken(why) => m(408, "body-broken", true, format!("The agent's request did not arrive whole: {why}.")),
        Error::UnknownUpstream(name) => m(
            404,
            "unknown-upstream",
            false,
            format!("Leeward knows no upstream `{name}`; add it under [upstreams] in the config, or see `leeward config show`."),
        ),
        Error::BadTarget => m(400, "bad-target", false, "The path after the upstream's name is not a valid request target."),
        Error::OverCap(cap) => m(
            503,
            "too-many-connections",
            true,
            format!("Leeward holds its limit of {cap} connections (limits.connections); this one was not served."),
        ),
        Error::Upstream(failure) | Error::Parked(failure, _) => upstream(failure),
    }
}

/// Whose fault an upstream failure is, in one sentence, and whether another try can help.
fn upstream(Failure { cause, detail }: &Failure) -> Meaning {
    let m = Meaning::new;
    match cause {
        Cause::Dns => m(503, "dns", true, format!("This machine's network: {detail}. Check the connection, VPN or DNS.")),
        Cause::Connect => m(503, "connect", true, format!("The network between this machine and the API: {detail}.")),
        Cause::Tls => m(503, "tls", true, format!("The network between this machine and the API: {detail}.")),
        Cause::Certificate => m(
            502,
            "certificate",
            false,
            format!(
                "Company proxy or TLS inspection, most likely: {detail}. If your company inspects TLS, name its root certificate with extra_ca in Leeward's config; do not go on if you know of none."
            ),
        ),
        Cause::Loop => m(
            508,
            "loop",
            false,
            format!("Leeward's config: {detail}, so the request would go round in a circle. Set `upstream` to the API's URL."),
        ),
        Cause::StalePooled | Cause::WriteFailed => {
            m(503, "write-failed", true, format!("The API's edge broke the connection before the request was out: {detail}."))
        }
        Cause::ReusedReset | Cause::FreshReset => m(
            502,
            "reset",
            true,
            format!("The API's edge broke the connection after the request and before an answer: {detail}."),
        ),
        Cause::BadResponse => m(502, "bad-response", true, format!("The API's edge: {detail}.")),
        Cause::CutMidStream => m(502, "cut", true, format!("The API's edge broke off the answer: {detail}.")),
        Cause::CutBeforeContent | Cause::CutWhileHeld => {
            m(502, "cut", true, format!("The API's edge broke off the answer before anything of it was passed on: {detail}."))
        }
        Cause::Declined => m(503, "declined", true, format!("The API: {detail}.")),
        Cause::WriteStalled => m(
            503,
            "write-stalled",
            true,
            format!(
                "The network between this machine and the API: {detail}. Large packets may be lost on the way (VPN, PPPoE): a smaller MTU helps."
            ),
        ),
        Cause::CompanyProxy => m(503, "company-proxy", true, format!("The company proxy: {detail}.")),
        Cause::ProxyLogin => m(
            502,
            "proxy-login",
            false,
            format!(
                "The company proxy: {detail}. Put user and password into proxy.url in Leeward's config, or into HTTPS_PROXY."
            ),
        ),
        // It names who has to look at it itself, by what the last dial met.
        Cause::CircuitOpen => m(503, "circuit-open", true, format!("{detail}.")),
        Cause::ResponseTimeout => m(504, "response-timeout", true, format!("The API: {detail}.")),
    }
}

/// The answer. `attempts` is what was tried upstream.
pub(super) fn respond(error: &Error, dialect: Dialect, attempts: u32) -> Response<Reply> {
    let meaning = meaning(error);
    let text = dialect.error(&meaning);
    let mut response = Response::new(Reply::full(text));
    *response.status_mut() = meaning.status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-leeward-error", HeaderValue::from_static(meaning.code));
    headers.insert("x-should-retry", HeaderValue::from_static(if meaning.retry { "true" } else { "false" }));
    if meaning.retry {
        let seconds = if let Error::Parked(_, next) = error { next.as_secs_f64().ceil().max(1.0) as u64 } else { 1 };
        headers.insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if attempts > 0 {
        headers.insert("x-leeward-attempts", HeaderValue::from(attempts));
    }
    response
}

/// The same as an event, for a stream whose head is out and whose content never came.
pub(super) fn event(failure: Failure, dialect: Dialect, attempts: u32) -> Bytes {
    let response = respond(&Error::Upstream(failure), dialect, attempts);
    let status = response.status();
    match response.into_body() {
        Reply::Full(Some(text)) => dialect.error_event(status, &text),
        _ => dialect.error_event(status, b""),
    }
}

/// The answer to a head that no parser has seen; the connection ends with it.
pub(super) fn respond_raw(refusal: head::Refusal) -> Bytes {
    use head::Refusal as R;
    let m = Meaning::new;
    let meaning = match refusal {
        R::TooLarge => m(
            431,
            "head-too-large",
            false,
            "The request's line and headers are larger than limits.header_bytes in Leeward's config.",
        ),
        R::TooManyFields => {
            m(431, "too-many-fields", false, "The request has more header fields than limits.header_count in Leeward's config.")
        }
        R::AmbiguousLength => m(
            400,
            "ambiguous-length",
            false,
            "The request states its length more than once (Content-Length beside Transfer-Encoding, or twice); one server would read another request out of it than the next.",
        ),
        R::BadLength => m(400, "bad-length", false, "The Content-Length is not a number."),
        R::BadCoding => m(501, "bad-coding", false, "The only transfer coding that Leeward accepts is `chunked`, in HTTP/1.1."),
        R::BadLines => m(400, "bad-lines", false, "The header lines do not end in CR LF each, or go on in the next line."),
        R::BadHost => m(400, "bad-host", false, "The request has no Host header, or more than one."),
        R::Tls => {
            m(400, "tls-on-plain-port", false, "This is Leeward's plain HTTP port: use http://, not https://, in the base URL.")
        }
        R::Http2 => m(505, "http2", false, "Leeward speaks HTTP/1.1 here; the client began with HTTP/2."),
        R::Garbage => m(400, "not-http", false, "This is not an HTTP/1 request."),
        R::TooSlow => {
            m(408, "head-too-slow", true, "The request's headers did not arrive in time (client.head in Leeward's config).")
        }
    };
    let text = Dialect::Anthropic.error(&meaning);
    let reason = meaning.status.canonical_reason().unwrap_or("Error");
    Bytes::from(format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\nx-leeward-error: {}\r\nx-should-retry: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        meaning.status.as_u16(),
        meaning.code,
        meaning.retry,
        text.len(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_told_in_its_own_dialect() {
        let error = Error::Upstream(Failure { cause: Cause::Connect, detail: "no connection to x (refused)".into() });
        let parsed = |d: Dialect| serde_json::from_str::<serde_json::Value>(&d.error(&meaning(&error))).unwrap();
        assert_eq!(parsed(Dialect::Anthropic)["error"]["type"], "overloaded_error");
        assert_eq!(parsed(Dialect::OpenAi)["error"]["code"], "connect");
        assert_eq!(parsed(Dialect::Gemini)["error"]["status"], "UNAVAILABLE");
        let response = respond(&error, Dialect::Anthropic, 3);
        assert_eq!(response.status(), 503);
        for (name, value) in [("retry-after", "1"), ("x-should-retry", "true"), ("x-leeward-attempts", "3")] {
            assert_eq!(response.headers()[name], value, "{name}");
        }
    }

    #[test]
    fn who_was_parked_is_told_when_the_next_probe_is_due() {
        for (next, seconds) in [(0, "1"), (1000, "1"), (1001, "2")] {
            let failure = Failure { cause: Cause::CircuitOpen, detail: "d".into() };
            let response = respond(&Error::Parked(failure, Duration::from_millis(next)), Dialect::OpenAi, 1);
            assert_eq!(response.headers()["retry-after"], seconds);
        }
    }

    #[test]
    fn what_cannot_be_cured_by_trying_again_says_so() {
        for cause in [Cause::Certificate, Cause::Loop] {
            let response = respond(&Error::Upstream(Failure { cause, detail: "d".into() }), Dialect::OpenAi, 1);
            assert_eq!(response.headers()["x-should-retry"], "false", "{cause:?}");
            assert!(!response.headers().contains_key("retry-after"));
        }
    }

    #[test]
    fn every_sentence_says_whose_fault_it_is_and_ends_well() {
        for cause in Cause::ALL {
            let m = upstream(&Failure { cause: *cause, detail: "detail".into() });
            assert!(m.sentence.ends_with('.') && m.sentence.contains("detail"), "{cause:?}: {}", m.sentence);
            assert!(m.status.is_server_error());
        }
    }

    #[test]
    fn raw_answers_are_whole_messages() {
        let text = respond_raw(head::Refusal::Tls);
        let text = std::str::from_utf8(&text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request") && head.contains(&format!("content-length: {}", body.len())));
    }
}
