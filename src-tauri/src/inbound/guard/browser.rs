//! What a browser sends, told apart from what programs send. Pure.
//!
//! The panel's token lives in its origin, which every path of ours shares. So nothing that an upstream says may be rendered
//! there, run there, or become its service worker: what a browser asks of an upstream's path is not forwarded.
//!
//! Programs do not send `Sec-Fetch-Site`; Node's fetch sends `Sec-Fetch-Mode: cors` alone. Pages cannot leave it out. Browsers
//! from before 2023 do not send it: their navigations are known by what they accept.

use http::{
    HeaderMap, HeaderName, Method,
    header::{ACCEPT, USER_AGENT},
};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const WORKER: HeaderName = HeaderName::from_static("service-worker");

/// Who sends a request to an upstream's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// Not a browser.
    Program,
    /// A browser that shows what it gets, or looks for the icon to it.
    Navigation,
    /// A page's script, style, image or `fetch`; it may be allowed by its origin.
    Page,
    /// What would become a page or a worker of our own origin, whoever caused it.
    Renderer,
}

/// Who sends this request.
pub(super) fn sender(method: &Method, path: &str, headers: &HeaderMap) -> Sender {
    let reads = method == Method::GET || method == Method::HEAD;
    if headers.contains_key(WORKER) {
        Sender::Renderer
    } else if reads && (path == "/favicon.ico" || is_navigation(headers)) {
        Sender::Navigation
    } else if is_navigation(headers) {
        Sender::Renderer
    } else if names_its_site(headers) {
        Sender::Page
    } else {
        Sender::Program
    }
}

/// Whether a browser says how the page that made a request relates to us.
pub(super) fn names_its_site(headers: &HeaderMap) -> bool {
    headers.contains_key(SITE)
}

/// Whether the response would be shown as a page of ours, in a window or a frame.
fn is_navigation(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, values: &[&str]| {
        headers.get_all(name).iter().any(|v| values.iter().any(|value| v.as_bytes().eq_ignore_ascii_case(value.as_bytes())))
    };
    if is(&MODE, &["navigate", "nested-navigate"]) || is(&DEST, &["document", "iframe", "frame", "embed", "object"]) {
        return true;
    }
    let accepts = |value: &http::HeaderValue| value.to_str().is_ok_and(|v| v.to_ascii_lowercase().contains("text/html"));
    let is_browser = || {
        headers.contains_key(SITE)
            || headers.contains_key(DEST)
            || headers.get(USER_AGENT).is_some_and(|v| v.as_bytes().starts_with(b"Mozilla/"))
    };
    !headers.contains_key(MODE) && headers.get_all(ACCEPT).iter().any(accepts) && is_browser()
}
