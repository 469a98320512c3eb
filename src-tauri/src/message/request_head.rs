//! A request as it goes out: its head once, a body for each attempt. Framing follows the body, nothing else is changed.

use super::outgoing::Outgoing;
use http::{
    Extensions, HeaderMap, HeaderValue, Method, Request, Uri, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use hyper::body::Body as _;

/// A request without its body, as it goes out.
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) headers: HeaderMap,
    /// Holds the spelling of the header names, which hyper writes again.
    pub(crate) extensions: Extensions,
}

/// Header values and queries hold keys, so neither shows.
impl std::fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestHead").field("method", &self.method).field("path", &self.target.path()).finish_non_exhaustive()
    }
}

impl RequestHead {
    /// The request with a body, and its length on the wire where that is known.
    pub(crate) fn with(&self, body: Outgoing) -> (Request<Outgoing>, Option<u64>) {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = self.headers.clone();
        *request.extensions_mut() = self.extensions.clone();
        let body_length = match request.body() {
            Outgoing::Held { held, .. } if held.has_trailers() => {
                request.headers_mut().remove(CONTENT_LENGTH);
                request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                None
            }
            Outgoing::Held { held, .. } => {
                let length = held.len();
                if length > 0 && !request.headers().contains_key(CONTENT_LENGTH) {
                    request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
                }
                Some(length)
            }
            // Without this hyper would send a GET without its body.
            Outgoing::Stream(_) if request.body().size_hint().exact().is_none() => {
                request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                None
            }
            Outgoing::Stream(_) => None,
        };
        let length = body_length.map(|n| head_length(&request) + n);
        (request, length)
    }
}

/// Bytes of a request's head as hyper writes it: request line, fields in their spelling, empty line.
pub(crate) fn head_length<B>(request: &Request<B>) -> u64 {
    let target = request.uri().path_and_query().map_or(1, |t| t.as_str().len());
    let line = request.method().as_str().len() + 1 + target + " HTTP/1.1\r\n".len();
    // hyper leaves out the blank before an empty value; counting it would make a request look incomplete that was sent whole.
    let field =
        |(n, v): (&http::HeaderName, &http::HeaderValue)| n.as_str().len() + 2 + v.len() + if v.is_empty() { 1 } else { 2 };
    let fields: usize = request.headers().iter().map(field).sum();
    (line + fields + 2) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_queries_never_show() {
        let message = RequestHead {
            method: Method::POST,
            target: Uri::from_static("/v1beta/models/g:generateContent?key=hush"),
            headers: [(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer hush"))].into_iter().collect(),
            extensions: Extensions::new(),
        };
        let shown = format!("{message:?}");
        assert!(shown.contains("POST") && !shown.contains("hush"), "{shown}");
    }
}
