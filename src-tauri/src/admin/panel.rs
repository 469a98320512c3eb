//! `/_leeward/ui/`: the panel's built files, for a browser. They hold no secret and need no token; the page itself asks
//! for everything with the token that its user brings along.

use super::{error::Error, extract::text, state::Admin};
use axum::{body::Body, extract::State, response::Response};
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use std::sync::Arc;
use tower_http::services::ServeDir;

/// Where the files are.
pub(super) const UI: &str = "/_leeward/ui/";

/// What a page may do that has the user's token: run its own scripts and ask its own origin.
const RULES: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// `/_leeward/ui`, where the page's own links would lead nowhere.
pub(super) async fn moved() -> Response {
    let mut response = text("text/plain", "");
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(UI));
    response
}

/// Answers with a file.
pub(super) async fn serve(State(admin): State<Arc<Admin>>, uri: Uri) -> Result<Response, Error> {
    let folder = admin.panel.as_ref().ok_or(Error::NoPanel)?;
    let name = uri.path().strip_prefix(UI).filter(|name| !name.is_empty()).unwrap_or("index.html");
    let (true, Some(kind)) = (is_plain(name), kind(name)) else { return Err(Error::NoSuchPath) };
    // A request of its own: what else is asked for (a part, or only what is new) is not looked at. A package's files may
    // all be of one time, and a page from before an update would look up to date.
    let mut wanted = Request::new(Body::empty());
    *wanted.uri_mut() = format!("/{name}").try_into().map_err(|_| Error::NoSuchPath)?;
    let mut files = ServeDir::new(folder).append_index_html_on_directories(false);
    let unreadable = |e| Error::Undone(format!("The panel's file {name} cannot be read ({e}); install Leeward again."));
    let file = files.try_call(wanted).await.map_err(unreadable)?;
    if file.status() != StatusCode::OK {
        return Err(Error::NoSuchPath);
    }
    let (head, body) = file.into_parts();
    let mut response = text(kind, Body::new(body));
    let headers = response.headers_mut();
    if let Some(length) = head.headers.get(header::CONTENT_LENGTH) {
        headers.insert(header::CONTENT_LENGTH, length.clone());
    }
    for (name, value) in RULES {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Names of assets carry a hash of their content.
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    Ok(response)
}

/// Whether a name is one of plain words: nothing in it can lead out of the folder.
fn is_plain(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    // Windows reserves names such as `CON` and `nul.js`; none is the name of a file of ours.
    name.len() <= 120 && name.split('/').count() <= 3 && name.split('/').all(plain)
}

/// By the name's ending; others are not part of the panel.
fn kind(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "webmanifest" => "application/json",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for name in ["index.html", "assets/index-B4x_1.js", "a/b/c.css"] {
            assert!(is_plain(name), "{name}");
        }
        for name in ["../x", "a/../x", "/etc/passwd", "a//b", "a\\..\\b", ".env", "a/.b", "%2e%2e/x", "c:x", "a/b/c/d.js", "a b"]
        {
            assert!(!is_plain(name), "{name}");
        }
        assert_eq!(kind("x.toml"), None);
        assert_eq!(kind("x"), None);
    }
}
