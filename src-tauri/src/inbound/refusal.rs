//! What clients learn of requests that never reach an upstream, and of heads that no parser has seen.

use super::guard::{
    Refusal,
    head::{self, Refusal as R},
};
use crate::{
    exchange::{Dialect, Error, Meaning, short},
    socket_owner::Owner,
    status::faults::Outcome,
    telemetry::Traffic,
};
use bytes::Bytes;
use http::{
    HeaderValue, Response,
    header::{CONNECTION, UPGRADE},
};
use std::sync::Arc;

/// The response to a request that the guard refuses, with what HTTP wants beside its text. `refuse` writes the rest.
pub(super) fn respond<B>(refusal: Refusal, refuse: impl FnOnce(&Meaning) -> Response<B>) -> Response<B> {
    let (closes, wants) = (closes(&refusal), required_protocol(&refusal));
    let mut response = refuse(&meaning(refusal));
    if closes {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(protocol) = wants {
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static(protocol));
        response.headers_mut().append(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    response
}

/// Whether the connection ends with the refusal: what its client sends next is meant for a tunnel or another protocol.
fn closes(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Connect | Refusal::Upgrade)
}

/// What a 426 must name (RFC 9110 section 15.5.22).
fn required_protocol(refusal: &Refusal) -> Option<&'static str> {
    matches!(refusal, Refusal::Upgrade).then_some("HTTP/1.1")
}

/// Why the guard refuses a request.
pub(super) fn meaning(refusal: Refusal) -> Meaning {
    let m = Meaning::new;
    match refusal {
        Refusal::ForeignHost => m(
            421,
            "foreign-host",
            false,
            "The Host header names neither this machine nor an allowed host. To reach Leeward by that name, add it to allowed_hosts in its config.",
        ),
        Refusal::ForeignOrigin => m(
            403,
            "foreign-origin",
            false,
            "A web page sent this (Origin), and Leeward answers programs. To let a page or an IDE extension in, add its exact origin to allowed_origins.",
        ),
        Refusal::FromBrowser => m(
            403,
            "from-browser",
            false,
            "A browser sent this without an Origin, and Leeward answers programs. To let a page in, add its exact origin to allowed_origins; use CORS.",
        ),
        Refusal::Token => m(401, "client-token", false, "Leeward's config asks for a client token: send it in x-leeward-token."),
        Refusal::Connect => m(501, "connect-not-supported", false, "This CONNECT did not arrive as one."),
        Refusal::Upgrade => m(
            // Codex goes on over HTTP at once after this status, and after any other only when it has tried seven times.
            426,
            "upgrade-not-supported",
            false,
            "Leeward carries no WebSocket here: use plain HTTP, which it can repair, or set websocket = \"carry\" for this upstream in its config.",
        ),
        Refusal::ForeignTarget => m(
            421,
            "foreign-target",
            false,
            "This is no HTTP_PROXY for other servers. Set it as base URL (`leeward wrap`), or add localhost,127.0.0.1,::1 to NO_PROXY.",
        ),
        Refusal::DotSegments => m(
            400,
            "dot-segments",
            false,
            "The path has a segment `.` or `..`, which servers read in different ways; send the path resolved.",
        ),
        Refusal::BodyTooLarge => Error::BodyTooLarge.meaning(),
    }
}

/// The client is not known to be our own user's program, and `shown` tells others who we are.
pub(super) fn not_own(shown: &str, owner: &Owner) -> Meaning {
    let whose = match owner {
        Owner::Other(Some(user)) => format!("this is another user's ({})", short(user, 16)),
        Owner::Other(None) | Owner::Own => "this is another user's".to_owned(),
        Owner::Nobody => "no program of this user sent this".to_owned(),
        Owner::Unknown(why) => format!("it is not known whose this is ({})", short(why, 9)),
    };
    Meaning::new(
        403,
        "another-user",
        false,
        format!("{shown} is your user's, and {whose}. For others set client_token (x-leeward-token)."),
    )
}

/// A link to the panel, opened by a program that is not known to be our own user's.
pub(super) fn not_ours() -> Meaning {
    let sentence = "This link is for programs of the user whose Leeward it is, and it is not known whose this one is. See `leeward panel --print`.";
    Meaning::new(403, "another-user", false, sentence)
}

/// There are more connections than the config allows.
pub(super) fn over_cap(cap: usize) -> Meaning {
    Meaning::new(
        503,
        "too-many-connections",
        true,
        format!("The limit of {cap} connections is reached (limits.connections); this one was not served."),
    )
}

/// The response to a head that no parser has seen; the connection ends with it. It is counted and shown like other requests.
pub(super) fn refuse_raw(traffic: &Arc<Traffic>, head: &[u8], refusal: head::Refusal) -> Bytes {
    let meaning = raw_meaning(refusal);
    let mut ticket = traffic.begin();
    let (method, target) = named(head);
    ticket.noted(&method, &target);
    ticket.ends_as(Outcome::Refused);
    ticket.trace().status(meaning.status.as_u16());
    respond_raw(&meaning)
}

/// What the request line names, where it is one: else nothing that came is shown.
fn named(head: &[u8]) -> (String, String) {
    let line = head.trim_ascii_start().split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let printable = std::str::from_utf8(line).ok().filter(|line| !line.contains(char::is_control));
    let words: Vec<_> = printable.iter().flat_map(|line| line.split(' ')).collect();
    match words[..] {
        [method, target, version] if version.starts_with("HTTP/") => (method.to_owned(), target.to_owned()),
        _ => ("-".to_owned(), "-".to_owned()),
    }
}

fn raw_meaning(refusal: head::Refusal) -> Meaning {
    let m = Meaning::new;
    match refusal {
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
            "The request states its length more than once (Content-Length beside Transfer-Encoding, or twice): servers would read it differently.",
        ),
        R::BadLength => m(400, "bad-length", false, "The Content-Length is not a number."),
        R::BadCoding => m(501, "bad-coding", false, "The only transfer coding that Leeward accepts is `chunked`, in HTTP/1.1."),
        R::BadLines => m(400, "bad-lines", false, "The header lines do not end in CR LF each, or go on in the next line."),
        R::BadHost => m(400, "bad-host", false, "The request has no Host header, or more than one."),
        R::Tls => {
            m(400, "tls-on-plain-port", false, "This is Leeward's plain HTTP port: use http://, not https://, in the base URL.")
        }
        R::Http2 => m(505, "http2", false, "Leeward speaks HTTP/1.1 here; the client began with HTTP/2."),
        R::BadTarget => m(
            400,
            "bad-target",
            false,
            "The request's target is no URL: it is too long, or has signs in it that must be percent-encoded there, such as < > or a quote.",
        ),
        R::Garbage => m(400, "not-http", false, "This is not an HTTP/1 request."),
        R::TooSlow => {
            m(408, "head-too-slow", true, "The request's headers did not arrive in time (client.head in Leeward's config).")
        }
    }
}

pub(super) fn respond_raw(meaning: &Meaning) -> Bytes {
    let text = Dialect::Anthropic.error(meaning);
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
    fn who_is_not_known_to_be_our_own_user_is_told_why_and_which_key_helps() {
        for (owner, says) in [
            (Owner::Other(Some("user 7".into())), "this is another user's (user 7)"),
            (Owner::Other(None), "this is another user's."),
            (Owner::Nobody, "no program of this user sent this"),
            (Owner::Unknown("no table".into()), "not known whose this is (no table)"),
        ] {
            let Meaning { status, code, sentence, retry, .. } = not_own("the login from proxy.url", &owner);
            assert_eq!((status.as_u16(), code, retry), (403, "another-user", false));
            for part in [says, "the login from proxy.url", "client_token", "x-leeward-token"] {
                assert!(sentence.contains(part), "{part}: {sentence}");
            }
        }
    }

    /// As short as every other error: agents cut what is longer, and the key that helps stands at the end.
    #[test]
    fn every_refusal_is_short_and_ends_well() {
        let guard = [
            (Refusal::ForeignHost, "allowed_hosts"),
            (Refusal::ForeignOrigin, "allowed_origins"),
            (Refusal::FromBrowser, "allowed_origins"),
            (Refusal::Token, "x-leeward-token"),
            (Refusal::Connect, "CONNECT"),
            (Refusal::Upgrade, "websocket = \"carry\""),
            (Refusal::ForeignTarget, "NO_PROXY"),
            (Refusal::DotSegments, "resolved"),
            (Refusal::BodyTooLarge, "limits.body_bytes"),
        ];
        let raw = [R::TooLarge, R::TooManyFields, R::AmbiguousLength, R::BadLength, R::BadCoding, R::BadLines, R::BadHost]
            .into_iter()
            .chain([R::Tls, R::Http2, R::BadTarget, R::Garbage, R::TooSlow]);
        let shown = "the company proxy's login from proxy.url";
        let owners = [Owner::Other(Some("u".repeat(90))), Owner::Nobody, Owner::Unknown("x".repeat(90))];
        let all = guard.into_iter().map(|(refusal, word)| (meaning(refusal), word));
        let all = all.chain(raw.map(|refusal| (raw_meaning(refusal), "")));
        let all = all.chain(owners.iter().map(|owner| (not_own(shown, owner), "client_token")));
        for (Meaning { sentence, .. }, word) in all.chain([(over_cap(10_000), "limits.connections"), (not_ours(), "--print")]) {
            let length = "Leeward: ".len() + sentence.chars().count();
            assert!(length <= 160, "{length}: {sentence}");
            assert!(sentence.contains(word) && sentence.ends_with('.'), "{word}: {sentence}");
        }
    }

    #[test]
    fn raw_responses_are_whole_messages() {
        let traffic = Arc::<Traffic>::default();
        let text = refuse_raw(&traffic, b"\x16\x03\x01", head::Refusal::Tls);
        let text = std::str::from_utf8(&text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request") && head.contains(&format!("content-length: {}", body.len())));
        refuse_raw(&traffic, b"GET /v1/<x>?key=hush HTTP/1.1\r\nhost: x\r\n\r\n", head::Refusal::BadTarget);
        let shown: Vec<_> = traffic.activities().list().into_iter().map(|a| (a.method, a.path, a.status, a.outcome)).collect();
        let row = |method: &str, path: &str| (method.to_owned(), path.to_owned(), Some(400), Some("refused"));
        assert_eq!(shown, [row("GET", "/v1/<x>"), row("-", "-")]);
    }
}
