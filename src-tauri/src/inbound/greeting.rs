//! What a browser gets that was led to an upstream's path: a page that says what this is. Knows nothing of the request.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};

const TEXT: &str = "Leeward is running. `leeward panel` opens its panel.\n";

const FIELDS: [(HeaderName, &str); 5] = [
    (CONTENT_TYPE, "text/plain; charset=utf-8"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    // What stands at this address for a browser is not what agents get.
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The page.
pub(super) fn page() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(TEXT.as_bytes()));
    for (name, value) in FIELDS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
