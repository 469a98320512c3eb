//! Header lists: hop-by-hop removal that keeps order and spelling. Pure.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// True for the fields that RFC 9110 section 7.6.1 binds to one connection.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE].contains(name)
}

/// The list without hop-by-hop fields, without those that `Connection` names, and without `also`.
///
/// Rebuilds the map, because `HeaderMap::remove` moves the last entry into the gap. `Trailer` stays when `Connection`
/// does not name it, and `TE: trailers` is put back, so that trailers pass.
pub fn strip(headers: &HeaderMap, also: &[HeaderName]) -> HeaderMap {
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
        if !is_hop_by_hop(name) && !named.contains(name) && !also.contains(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    let wants_trailers = headers
        .get_all(TE)
        .iter()
        .any(|v| v.to_str().is_ok_and(|v| v.split(',').any(|t| t.trim().eq_ignore_ascii_case("trailers"))));
    if wants_trailers {
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

/// True when the client asks for a WebSocket. What else it offers in `Upgrade` (`h2c`, `TLS/1.2`) is ignored (RFC 9110 section
/// 7.8): it speaks HTTP/1.1 as well.
pub(crate) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers
        .get_all(UPGRADE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|p| p.trim().eq_ignore_ascii_case("websocket"))
}

/// True when the sender closes the connection after this message (RFC 9112 section 9.3).
pub(crate) fn closes(version: http::Version, headers: &HeaderMap) -> bool {
    let says = |word: &str| {
        headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|t| t.trim().eq_ignore_ascii_case(word))
    };
    says("close") || (version < http::Version::HTTP_11 && !says("keep-alive"))
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
    fn a_websocket_is_seen_and_other_offers_are_ignored() {
        for (offer, seen) in
            [("websocket", true), ("WebSocket", true), ("h2c, websocket", true), ("h2c", false), ("TLS/1.2", false)]
        {
            assert_eq!(asks_for_websocket(&map(&[("upgrade", offer)])), seen, "{offer}");
        }
        assert!(!asks_for_websocket(&map(&[])));
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
