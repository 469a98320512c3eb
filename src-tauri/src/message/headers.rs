//! Header lists: hop-by-hop removal that keeps order and spelling. Pure.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Version,
    header::{CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};
use http_body::Body;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const WEBSOCKET: &str = "websocket";

/// True for the fields that RFC 9110 section 7.6.1 binds to one connection.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE].contains(name)
}

/// The list without hop-by-hop fields, without those that `Connection` names, and without `also`.
///
/// Rebuilds the map, because `HeaderMap::remove` moves the last entry into the gap. `Trailer` stays when `Connection`
/// does not name it, and `TE: trailers` is put back, so that trailers pass.
pub fn strip(headers: &HeaderMap, also: &[HeaderName]) -> HeaderMap {
    rebuild(headers, also, false)
}

/// The same for a message that asks for a WebSocket or agrees to one: what says so stays in its place, without other offers.
pub(crate) fn strip_but_websocket(headers: &HeaderMap, also: &[HeaderName]) -> HeaderMap {
    rebuild(headers, also, true)
}

fn rebuild(headers: &HeaderMap, also: &[HeaderName], websocket: bool) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .filter_map(|t| HeaderName::from_bytes(t.trim().as_bytes()).ok())
        // A sender may not hide end-to-end fields that the proxy itself relies on (RFC 9110 section 7.6.1).
        .filter(|n| ![http::header::HOST, http::header::CONTENT_LENGTH, TRAILER].contains(n))
        .collect();
    let mut kept = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        if websocket && (name == CONNECTION || name == UPGRADE) {
            let said = if name == CONNECTION { HeaderValue::from_static("Upgrade") } else { offer(value) };
            kept.entry(name.clone()).or_insert(said);
        } else if !is_hop_by_hop(name) && !named.contains(name) && !also.contains(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    if has_word(headers, &TE, "trailers") {
        kept.insert(TE, HeaderValue::from_static("trailers"));
    }
    kept
}

/// The transfer coding of a response that nobody here can undo: then its bytes are not what the client would take them for.
pub(crate) fn unknown_coding(headers: &HeaderMap) -> Option<String> {
    let mut all = headers.get_all(TRANSFER_ENCODING).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).trim().to_owned());
    let first = all.next()?;
    let rest: String = all.map(|more| format!(", {more}")).collect();
    // RFC 2616 had `identity` for none at all; with a length beside it, two readers would see two messages.
    let is_none = first.eq_ignore_ascii_case("identity") && !headers.contains_key(http::header::CONTENT_LENGTH);
    let known = rest.is_empty() && (first.eq_ignore_ascii_case("chunked") || is_none);
    (!known).then_some(first + &rest)
}

/// The WebSocket among the offers of an `Upgrade`, as it is spelt there.
fn offer(value: &HeaderValue) -> HeaderValue {
    let offers = || value.to_str().ok().into_iter().flat_map(|all| all.split(','));
    let found = offers().map(str::trim).find(|offer| offer.eq_ignore_ascii_case(WEBSOCKET));
    found.and_then(|offer| HeaderValue::from_str(offer).ok()).unwrap_or_else(|| value.clone())
}

/// True when a list field (RFC 9110 section 5.6.1) has this word.
fn has_word(headers: &HeaderMap, field: &HeaderName, word: &str) -> bool {
    let all = headers.get_all(field).iter().filter_map(|v| v.to_str().ok());
    all.flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(word))
}

/// True when a request asks for a WebSocket (RFC 6455 section 4.1): a GET in HTTP/1.1, without a body, whose `Connection` names
/// the offer. All other offers in `Upgrade` are ignored (RFC 9110 section 7.8): who makes them speaks HTTP/1.1 as well.
pub(crate) fn asks_for_websocket(request: &Request<impl Body>) -> bool {
    let headers = request.headers();
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && request.body().is_end_stream()
        && has_word(headers, &CONNECTION, "upgrade")
        && has_word(headers, &UPGRADE, WEBSOCKET)
}

/// True when the sender closes the connection after this message (RFC 9112 section 9.3).
pub(crate) fn closes(version: Version, headers: &HeaderMap) -> bool {
    let says = |word: &str| has_word(headers, &CONNECTION, word);
    says("close") || (version < Version::HTTP_11 && !says("keep-alive"))
}

/// The product name of a `user-agent`, for counting: letters, digits and a few signs, at most 40 of them.
pub(crate) fn agent_name(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(http::header::USER_AGENT)?.to_str().ok()?;
    let name = value.split(['/', ' ', '(']).next()?;
    let sane = !name.is_empty() && name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
    sane.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(list: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (n, v) in list {
            map.append(HeaderName::from_bytes(n.as_bytes()).unwrap(), HeaderValue::from_str(v).unwrap());
        }
        map
    }

    fn names(map: &HeaderMap) -> Vec<&str> {
        map.iter().map(|(n, _)| n.as_str()).collect()
    }

    #[test]
    fn only_hop_by_hop_fields_go_and_order_stays() {
        let headers = map(&[
            ("a", "1"),
            ("connection", "keep-alive, X-Mine"),
            ("b", "2"),
            ("keep-alive", "timeout=5"),
            ("x-mine", "3"),
            ("anthropic-unknown", "4"),
            ("transfer-encoding", "chunked"),
            ("c", "5"),
            ("anthropic-unknown", "6"),
        ]);
        assert_eq!(names(&strip(&headers, &[])), ["a", "b", "anthropic-unknown", "anthropic-unknown", "c"]);
    }

    #[test]
    fn connection_cannot_hide_what_framing_needs() {
        let headers = map(&[("host", "x"), ("content-length", "3"), ("connection", "host, content-length, close")]);
        assert_eq!(names(&strip(&headers, &[])), ["host", "content-length"]);
    }

    #[test]
    fn trailers_may_pass() {
        let headers = map(&[("te", "gzip, trailers"), ("trailer", "x-sum"), ("a", "1")]);
        assert_eq!(names(&strip(&headers, &[])), ["trailer", "a", "te"]);
    }

    #[test]
    fn only_chunks_can_be_undone() {
        for (fields, unknown) in [
            (&[][..], None),
            (&[("transfer-encoding", "chunked")], None),
            (&[("transfer-encoding", " Chunked ")], None),
            (&[("transfer-encoding", "identity")], None),
            (&[("transfer-encoding", "identity"), ("content-length", "2")], Some("identity")),
            (&[("transfer-encoding", "gzip, chunked")], Some("gzip, chunked")),
            (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], Some("chunked, chunked")),
            (&[("transfer-encoding", "")], Some("")),
        ] {
            assert_eq!(unknown_coding(&map(fields)).as_deref(), unknown, "{fields:?}");
        }
    }

    #[test]
    fn only_a_handshake_asks_for_a_websocket() {
        use http_body_util::{Empty, Full};
        let asks = |method: &Method, version: Version, fields: &[(&str, &str)]| {
            let mut request = Request::new(Empty::<bytes::Bytes>::new());
            (*request.method_mut(), *request.version_mut(), *request.headers_mut()) = (method.clone(), version, map(fields));
            asks_for_websocket(&request)
        };
        let both = |connection, upgrade| [("connection", connection), ("upgrade", upgrade)];
        for (method, version, fields, seen) in [
            (Method::GET, Version::HTTP_11, both("Upgrade", "websocket"), true),
            (Method::GET, Version::HTTP_11, both("keep-alive, upgrade", "h2c, WebSocket"), true),
            (Method::GET, Version::HTTP_11, both("Upgrade", "h2c"), false),
            (Method::GET, Version::HTTP_11, both("Upgrade", "TLS/1.2"), false),
            (Method::GET, Version::HTTP_11, both("Upgrade", "websockets"), false),
            (Method::GET, Version::HTTP_11, both("keep-alive", "websocket"), false),
            (Method::GET, Version::HTTP_10, both("Upgrade", "websocket"), false),
            (Method::POST, Version::HTTP_11, both("Upgrade", "websocket"), false),
        ] {
            assert_eq!(asks(&method, version, &fields), seen, "{method} {version:?} {fields:?}");
        }
        assert!(!asks(&Method::GET, Version::HTTP_11, &[("upgrade", "websocket")]));
        assert!(!asks(&Method::GET, Version::HTTP_11, &[("connection", "upgrade")]));
        let mut with_body = Request::new(Full::new(bytes::Bytes::from_static(b"x")));
        *with_body.headers_mut() = map(&both("Upgrade", "websocket"));
        assert!(!asks_for_websocket(&with_body));
    }

    #[test]
    fn a_handshake_keeps_what_asks_for_a_websocket_in_its_place_and_nothing_else_of_its_connection() {
        let headers = map(&[
            ("a", "1"),
            ("connection", "keep-alive, Upgrade, x-mine"),
            ("sec-websocket-key", "k"),
            ("upgrade", "h2c, WebSocket"),
            ("keep-alive", "timeout=5"),
            ("x-mine", "2"),
            ("upgrade", "TLS/1.2"),
            ("b", "3"),
        ]);
        let kept = strip_but_websocket(&headers, &[HeaderName::from_static("a")]);
        assert_eq!(names(&kept), ["connection", "sec-websocket-key", "upgrade", "b"]);
        assert!(kept["connection"] == "Upgrade" && kept["upgrade"] == "WebSocket", "{kept:?}");
        assert_eq!(names(&strip(&headers, &[])), ["a", "sec-websocket-key", "b"]);
    }

    #[test]
    fn agents_are_counted_by_product() {
        let of = |ua: &str| agent_name(&map(&[("user-agent", ua)])).map(str::to_owned);
        assert_eq!(of("claude-cli/2.1.0 (external, cli)").as_deref(), Some("claude-cli"));
        assert_eq!(of("Anthropic/JS 1.0").as_deref(), Some("Anthropic"));
        assert_eq!(of("/").as_deref(), None);
        assert_eq!(of(&"x".repeat(99)).as_deref(), None);
    }
}
