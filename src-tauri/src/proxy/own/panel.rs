//! `/_leeward/ui/`: the panel's built files, for a browser. They hold no secret and need no token; the page itself asks
//! for everything with the token that its user brings along.

use crate::proxy::{
    Proxy,
    error::{self, Dialect, Error},
    reply::Reply,
};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use std::path::{Path, PathBuf};

/// The whole panel is a tenth of this.
const MAX_FILE: u64 = 4 << 20;

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

/// Answers with a file; `path` is what follows `/_leeward/`, and begins with `ui`.
pub(super) async fn serve(proxy: &Proxy, path: &str, method: &Method) -> Response<Reply> {
    let refuse = |error: Error| error::respond(&error, Dialect::Own, 0);
    if ![Method::GET, Method::HEAD].contains(method) {
        return refuse(Error::WrongMethod("GET"));
    }
    let Some(name) = path.strip_prefix("ui/") else {
        let mut response = super::answer(StatusCode::PERMANENT_REDIRECT, "text/plain", "");
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/_leeward/ui/"));
        return response;
    };
    let Some(folder) = &proxy.shared.panel else {
        return refuse(Error::NoPanel);
    };
    let name = if name.is_empty() { "index.html" } else { name };
    let (Some(file), Some(kind)) = (within(folder, name), kind(name)) else { return refuse(Error::NoSuchPath) };
    match read(&file).await {
        Ok(bytes) => {
            let mut response = super::answer(StatusCode::OK, kind, bytes);
            let headers = response.headers_mut();
            for (name, value) in RULES {
                headers.insert(name, HeaderValue::from_static(value));
            }
            // Names of assets carry a hash of their content.
            let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
            response
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => refuse(Error::NoSuchPath),
        Err(e) => refuse(Error::Undone(format!("The panel's file {name} cannot be read ({e}); install Leeward again."))),
    }
}

async fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let found = tokio::fs::metadata(file).await?;
    if !found.is_file() || found.len() > MAX_FILE {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    tokio::fs::read(file).await
}

/// The file, if the name is one of plain words: nothing in it can lead out of the folder.
fn within(folder: &Path, name: &str) -> Option<PathBuf> {
    let plain = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    // Windows reserves names such as `CON` and `nul.js`; none is the name of a file of ours.
    let fits = name.len() <= 120 && name.split('/').count() <= 3 && name.split('/').all(plain);
    fits.then(|| folder.join(name))
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
        let folder = Path::new("/panel");
        for name in ["index.html", "assets/index-B4x_1.js", "a/b/c.css"] {
            assert_eq!(within(folder, name), Some(folder.join(name)), "{name}");
        }
        for name in ["../x", "a/../x", "/etc/passwd", "a//b", "a\\..\\b", ".env", "a/.b", "%2e%2e/x", "c:x", "a/b/c/d.js", "a b"]
        {
            assert_eq!(within(folder, name), None, "{name}");
        }
        assert_eq!(kind("x.toml"), None);
        assert_eq!(kind("x"), None);
    }
}
