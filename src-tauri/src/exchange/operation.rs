//! What a request asks for: whether it may run twice, how its client expects errors, which model and whether a stream it
//! asks for. From its method, its whole path at the upstream, its headers and the user's own list; the body is `look`'s.

use super::{
    error::Dialect,
    inference::{self, Model, Streams},
    look::{self, Look},
    repair::{self, Repair},
    retry::Kind,
};
use crate::{config::ReplayPath, message::Payload};
use http::{HeaderMap, Method, header::CONTENT_TYPE};

/// Where a request arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The whole path, without a query.
    pub(crate) path: &'a str,
    pub(crate) host: &'a str,
    /// What the user's config says of it.
    pub(crate) replay: &'a [ReplayPath],
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(super) kind: Kind,
    pub(crate) dialect: Dialect,
    streams: Streams,
    model: Model,
    /// The model, where the path names it.
    in_path: Option<String>,
    is_post: bool,
}

impl Operation {
    /// Of a request that arrives there.
    pub(crate) fn of(method: &Method, place: Place<'_>, headers: &HeaderMap) -> Self {
        let known = inference::find(place.path);
        let listed = || place.replay.iter().any(|listed| listed.is(place.path));
        let is_post = *method == Method::POST;
        let kind = match () {
            () if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) => Kind::Safe,
            () if is_post && (known.is_some() || listed()) => Kind::Inference,
            () => Kind::NotReplayable,
        };
        let dialect = known.as_ref().map_or_else(|| dialect(place, headers), |known| known.api.dialect);
        let (streams, model) =
            known.as_ref().map_or((Streams::WhenAsked, Model::InBody), |known| (known.api.streams, known.api.model));
        let in_path = known.and_then(|known| known.model).map(|name| name.into_owned());
        Self { kind, dialect, streams, model, in_path, is_post }
    }

    /// What is repaired of it where it came out of a tunnel; whether it may run twice follows from that, too.
    pub(super) fn is_repaired_as(&mut self, method: &Method, place: Place<'_>) -> Repair {
        let (kind, repair) = repair::of(method, place.host, place.path, self.kind == Kind::Inference);
        self.kind = kind;
        repair
    }

    /// The model that it asks for.
    pub(super) fn model(&self, payload: &Payload) -> Option<String> {
        match (self.kind, self.model) {
            (Kind::Inference, Model::InPath) => self.in_path.as_deref().and_then(look::sane),
            (Kind::Inference, Model::InBody) => look::model(payload),
            (Kind::Safe | Kind::NotReplayable, _) => None,
        }
    }

    /// The model of a request that looks like an inference and that no row knows.
    pub(super) fn model_of_unknown(&self, headers: &HeaderMap, payload: &Payload) -> Option<String> {
        let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let is_json = kind.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case("application/json"));
        if self.is_post && self.kind == Kind::NotReplayable && is_json { look::model(payload) } else { None }
    }

    /// Whether its response comes piece by piece; `look` is asked only where the body says so.
    pub(super) fn wants_stream(&self, look: impl FnOnce() -> Look) -> bool {
        match self.streams {
            Streams::Never => false,
            Streams::Always => true,
            Streams::WhenAsked => look().stream == Some(true),
            Streams::UnlessRefused => look().stream != Some(false),
        }
    }
}

/// Of what no row knows: by the headers that only one kind of client sends, by Gemini's versions, by who is asked.
fn dialect(place: Place<'_>, headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") {
        Dialect::Anthropic
    } else if headers.contains_key("x-goog-api-key") || place.path.contains("/v1beta/") || place.path.contains("/v1internal") {
        Dialect::Gemini
    } else {
        inference::at_home(place.host).unwrap_or(Dialect::Anthropic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(method: &Method, path: &str, host: &str) -> Operation {
        Operation::of(method, Place { path, host, replay: &[] }, &HeaderMap::new())
    }

    #[test]
    fn only_inference_and_safe_methods_are_sent_twice() {
        for (method, path, want) in [
            (Method::POST, "/v1/messages", Kind::Inference),
            (Method::POST, "/backend-api/codex/responses", Kind::Inference),
            (Method::POST, "/v1/oauth/token", Kind::NotReplayable),
            (Method::PUT, "/v1/messages", Kind::NotReplayable),
            (Method::DELETE, "/v1/messages", Kind::NotReplayable),
            (Method::HEAD, "/api/hello", Kind::Safe),
            (Method::GET, "/v1/models", Kind::Safe),
            (Method::OPTIONS, "/v1/messages", Kind::Safe),
        ] {
            assert_eq!(of(&method, path, "api").kind, want, "{method} {path}");
        }
    }

    #[test]
    fn dialects_are_told_apart_also_where_no_row_fits() {
        for (path, host, want) in [
            ("/v1/messages", "api.openai.com", Dialect::Anthropic),
            ("/v1/models", "api.openai.com", Dialect::OpenAi),
            ("/v1/models", "gateway.corp", Dialect::Anthropic),
            ("/v1beta/models", "gateway.corp", Dialect::Gemini),
            ("/v1/files", "generativelanguage.googleapis.com", Dialect::Gemini),
        ] {
            assert_eq!(of(&Method::GET, path, host).dialect, want, "{path} at {host}");
        }
        let headers = [(http::HeaderName::from_static("anthropic-version"), HeaderValue::from_static("x"))].into_iter().collect();
        let place = Place { path: "/v1/files", host: "api.openai.com", replay: &[] };
        assert_eq!(Operation::of(&Method::GET, place, &headers).dialect, Dialect::Anthropic);
    }

    #[test]
    fn a_stream_is_wanted_by_path_or_body() {
        let asks =
            |path: &str, stream: Option<bool>| of(&Method::POST, path, "api").wants_stream(|| Look { stream, ..Look::default() });
        for (path, wants) in [
            ("/v1/messages", [false, true, false]),
            ("/v1/embeddings", [false, false, false]),
            ("/v1beta/models/g:streamGenerateContent", [true, true, true]),
            ("/api/chat", [true, true, false]),
        ] {
            assert_eq!([None, Some(true), Some(false)].map(|stream| asks(path, stream)), wants, "{path}");
        }
    }
}
