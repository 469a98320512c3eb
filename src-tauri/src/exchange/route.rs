//! Which upstream a request is for: from its target alone. Pure.
//!
//! A target that may have meant a named upstream never goes to the default one, which would get another company's key.

/// Whom a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// A named upstream and the rest of the target, from its `/` on.
    Named {
        /// NAME of `/@NAME/rest`.
        name: &'a str,
        /// `/rest?query`
        rest: &'a str,
    },
    /// The default upstream.
    Default,
    /// A name is meant that is not written as one (`//@openai/…`, `/%40openai/…`).
    Unclear,
}

/// Chooses; `target` is path and query as they were sent.
pub fn route(target: &str) -> Route<'_> {
    if let Some(named) = target.strip_prefix("/@") {
        let end = named.find(['/', '?']).unwrap_or(named.len());
        let (name, rest) = named.split_at(end);
        return Route::Named { name, rest: if rest.is_empty() { "/" } else { rest } };
    }
    if hides_a_name(target) { Route::Unclear } else { Route::Default }
}

/// True when the path begins as a name does once servers on the way, or the client's own library, have read it their way:
/// slashes joined, backslashes turned, signs decoded, once or more often.
fn hides_a_name(target: &str) -> bool {
    let mut rest = target.split(['?', '#']).next().unwrap_or_default();
    loop {
        rest = match rest.as_bytes() {
            [b'/' | b'\\' | b';' | b'.' | b' ' | b'\t', ..] => &rest[1..],
            [b'%', ..] => match encoded(rest) {
                Some((b'/' | b'\\' | b';' | b'.' | b' ' | b'\t', after)) => after,
                Some((sign, _)) => return sign == b'@',
                None => return false,
            },
            [first, ..] => return *first == b'@',
            [] => return false,
        };
    }
}

/// The sign that a percent code stands for, also where the percent sign is encoded itself, and what follows it.
fn encoded(text: &str) -> Option<(u8, &str)> {
    let mut code = text.strip_prefix('%')?;
    while let Some(inner) = code.strip_prefix("25") {
        code = inner;
    }
    let sign = u8::from_str_radix(code.get(..2)?, 16).ok()?;
    Some((sign, &code[2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_way() {
        for (target, want) in [
            ("/healthy", Route::Default),
            ("/@openai/v1/responses?x=1", Route::Named { name: "openai", rest: "/v1/responses?x=1" }),
            ("/@openai", Route::Named { name: "openai", rest: "/" }),
            ("/@gw?x", Route::Named { name: "gw", rest: "?x" }),
            ("/@/x", Route::Named { name: "", rest: "/x" }),
            ("/v1/messages?beta=true", Route::Default),
            ("/v1/@openai/x", Route::Default),
            ("/v1?x=/@openai/", Route::Default),
            ("//v1/messages", Route::Default),
            ("/%41", Route::Default),
            ("/%", Route::Default),
            ("/%25", Route::Default),
            ("//@openai/v1/responses", Route::Unclear),
            ("///@openai", Route::Unclear),
            ("/%40openai/v1/responses", Route::Unclear),
            ("/%2540openai/v1/responses", Route::Unclear),
            ("/%2F@openai/v1", Route::Unclear),
            ("/%2f%40openai/v1", Route::Unclear),
            ("/\\@openai/v1", Route::Unclear),
            ("/%5C@openai/v1", Route::Unclear),
            ("/;@openai/v1", Route::Unclear),
            ("@openai/v1", Route::Unclear),
            ("/", Route::Default),
            ("*", Route::Default),
        ] {
            assert_eq!(route(target), want, "{target}");
        }
    }
}
