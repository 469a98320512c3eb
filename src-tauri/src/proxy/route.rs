//! Where a request goes, from its path alone. Pure.

use super::retry::Kind;
use crate::admin;

/// The kinds of path that Leeward tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// One of Leeward's own paths.
    Own,
    /// A named upstream and the rest of the target, from its `/` on.
    Named {
        /// NAME of `/@NAME/rest`.
        name: &'a str,
        /// `/rest?query`
        rest: &'a str,
    },
    /// The default upstream.
    Default,
}

/// Chooses; `target` is path and query as they were sent.
pub fn route(target: &str) -> Route<'_> {
    let path = target.split('?').next().unwrap_or_default();
    if admin::is_own(path) {
        return Route::Own;
    }
    if let Some(named) = target.strip_prefix("/@") {
        let end = named.find(['/', '?']).unwrap_or(named.len());
        let (name, rest) = named.split_at(end);
        return Route::Named { name, rest: if rest.is_empty() { "/" } else { rest } };
    }
    Route::Default
}

/// What a request is, as far as sending it again goes (design: "Replayable").
pub fn kind(method: &http::Method, path: &str) -> Kind {
    use http::Method;
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
        return Kind::Safe;
    }
    const INFERENCE: [&str; 4] = ["/v1/messages", "/v1/messages/count_tokens", "/v1/responses", "/v1/chat/completions"];
    // Gateways and ChatGPT's own API put the same operations below other prefixes: `/backend-api/codex/responses`.
    const SUFFIXES: [&str; 3] = ["/codex/responses", ":generateContent", ":streamGenerateContent"];
    let path = path.trim_end_matches('/');
    let inference = INFERENCE.iter().chain(&SUFFIXES).any(|p| path.ends_with(p));
    if *method == Method::POST && inference { Kind::Inference } else { Kind::NotReplayable }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    #[test]
    fn paths_find_their_way() {
        for (target, want) in [
            ("/livez", Route::Own),
            ("/health?verbose=1", Route::Own),
            ("/healthy", Route::Default),
            ("/_leeward/v1/restart", Route::Own),
            ("/@openai/v1/responses?x=1", Route::Named { name: "openai", rest: "/v1/responses?x=1" }),
            ("/@openai", Route::Named { name: "openai", rest: "/" }),
            ("/@gw?x", Route::Named { name: "gw", rest: "?x" }),
            ("/@/x", Route::Named { name: "", rest: "/x" }),
            ("/v1/messages?beta=true", Route::Default),
            ("/", Route::Default),
            ("*", Route::Default),
        ] {
            assert_eq!(route(target), want, "{target}");
        }
    }

    #[test]
    fn only_inference_and_safe_methods_are_sent_twice() {
        for path in [
            "/v1/messages",
            "/v1/messages/count_tokens",
            "/v1/responses",
            "/v1/chat/completions",
            "/v1beta/models/g:generateContent",
            "/v1beta/models/g:streamGenerateContent",
            "/api/v1/chat/completions",
            "/backend-api/codex/responses",
        ] {
            assert_eq!(kind(&Method::POST, path), Kind::Inference, "{path}");
        }
        for path in ["/v1/oauth/token", "/v1/files", "/v1/messages/batches", "/v1/mcp/x", "/v1/code/sessions", "/", "/responses"]
        {
            assert_eq!(kind(&Method::POST, path), Kind::NotReplayable, "{path}");
        }
        assert_eq!((kind(&Method::HEAD, "/api/hello"), kind(&Method::GET, "/v1/models")), (Kind::Safe, Kind::Safe));
        assert_eq!(
            (kind(&Method::PUT, "/v1/messages"), kind(&Method::DELETE, "/v1/messages")),
            (Kind::NotReplayable, Kind::NotReplayable)
        );
    }
}
