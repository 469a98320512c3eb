//! The mark by which a request is known that comes back (RFC 9110 section 7.6.3): two Leewards may name each other as upstream.
//! Refuses nothing itself.
//!
//! Only requests to `http://` upstreams carry it: Leeward itself accepts nothing else, and an API's edge behind `https://`
//! gets what the agent sent.

use crate::upstream::Upstream;
use http::{HeaderMap, HeaderValue, header::VIA};

/// The name of this process in `Via`; no other has the same.
#[derive(Debug)]
pub(super) struct Via(HeaderValue);

impl Default for Via {
    fn default() -> Self {
        let value = format!("1.1 leeward-{:016x}", fastrand::u64(..));
        Self(HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static("1.1 leeward")))
    }
}

impl Via {
    /// True when a request has passed this process before.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(VIA)
            .iter()
            .flat_map(|v| v.as_bytes().split(|b| *b == b','))
            .any(|hop| hop.trim_ascii() == self.0.as_bytes())
    }

    /// Marks a request, where its upstream may lead back.
    pub(super) fn mark(&self, headers: &mut HeaderMap, upstream: &Upstream) {
        if !upstream.origin.endpoint.tls {
            headers.append(VIA, self.0.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself_among_others() {
        let (own, other) = (Via::default(), Via::default());
        let text = own.0.to_str().unwrap();
        for (lines, known) in [
            (vec![], false),
            (vec![other.0.to_str().unwrap().to_owned()], false),
            (vec![format!("{text}0")], false),
            (vec![text.to_owned()], true),
            (vec!["1.0 fred (squid), 1.1 p.example".to_owned(), format!("2 edge ,{text} , 1.1 x")], true),
        ] {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(VIA, HeaderValue::try_from(line).unwrap());
            }
            assert_eq!(own.is_in(&headers), known, "{lines:?}");
        }
    }
}
