//! The only place that turns an error into an HTTP response: status, sentence, whose fault, in the client's dialect.

mod dialect;
mod meaning;

pub(crate) use dialect::Dialect;
pub(crate) use meaning::Meaning;

use crate::{message::Failure, status::faults::Cause, upstream::Upstream};
use bytes::Bytes;
use http::{HeaderValue, Response};
use std::time::Duration;

/// What keeps a request from getting its upstream's response.
#[derive(Debug)]
pub(crate) enum Error {
    /// No upstream of that name.
    UnknownUpstream(String),
    /// Its target may mean a named upstream, and is not written so.
    UnclearName,
    /// Name and path make no valid target.
    BadTarget,
    /// It has been here before.
    Circle,
    /// Other uploads hold all the connections that uploads may have.
    TooManyUploads,
    /// The request's body grew over the limit.
    BodyTooLarge,
    /// The request's body broke the rules of its coding.
    BodyMalformed(String),
    /// The request's body stalled or broke off.
    BodyBroken(String),
    /// The upstream could not be reached, or broke; all that could be tried was tried.
    Upstream(Failure),
    /// A server on this machine could not be reached.
    Local(Failure),
    /// No connection could be made for as long as a request may wait for one; the next one is tried after this time.
    Parked(Failure, Duration),
}

impl Error {
    /// Of a request that failed.
    pub(super) fn of(failure: Failure, upstream: &Upstream) -> Self {
        let origin = &upstream.origin;
        match failure.cause {
            Cause::CircuitOpen => Self::Parked(failure, origin.next_dial_in()),
            Cause::Connect if origin.endpoint.is_local() => Self::Local(failure),
            _ => Self::Upstream(failure),
        }
    }

    /// Status, code and sentence.
    pub(crate) fn meaning(&self) -> Meaning {
        let m = Meaning::new;
        match self {
            Self::BodyTooLarge => m(
                413,
                "body-too-large",
                false,
                "The request's body is larger than limits.body_bytes in Leeward's config.".to_owned(),
            ),
            Self::BodyMalformed(why) => {
                m(400, "body-malformed", false, format!("The agent's request is not valid HTTP: {why}."))
            }
            Self::BodyBroken(why) => m(408, "body-broken", true, format!("The agent's request did not arrive whole: {why}.")),
            Self::UnknownUpstream(name) => m(
                // Not 404: Claude Code then says that the model does not exist, and nothing of what stands here.
                400,
                "unknown-upstream",
                false,
                format!(
                    "Leeward knows no upstream `{name}`; add it under [upstreams] in the config, or see `leeward config show`."
                ),
            ),
            Self::UnclearName => m(
                400,
                "unclear-upstream",
                false,
                "The path begins with the name of an upstream that is not written as `/@NAME/`, and the default upstream must not get another one's key. If the base URL ends in a slash, remove it, and write `@` as it is.".to_owned(),
            ),
            Self::BadTarget => {
                m(400, "bad-target", false, "The path after the upstream's name is not a valid request target.".to_owned())
            }
            Self::Circle => m(
                508,
                "loop",
                false,
                "The request has been here before: this Leeward's upstream leads back to it, by way of another one. Set `upstream` in the config of one of them to the API.".to_owned(),
            ),
            Self::TooManyUploads => m(
                503,
                "too-many-uploads",
                true,
                "Half of this API's connections (pool.size in Leeward's config) carry uploads already, and none of them ended in time.".to_owned(),
            ),
            Self::Local(failure) => m(
                503,
                "connect",
                true,
                format!("The server on this machine: {}. Start it, if it does not run.", failure.detail),
            ),
            Self::Upstream(failure) => meaning::of_failure(failure),
            Self::Parked(failure, next) => Meaning { retry_after: Some(*next), ..meaning::of_failure(failure) },
        }
    }
}

/// The response. `attempts` is what was tried upstream.
pub(crate) fn respond(meaning: &Meaning, dialect: Dialect, attempts: u32) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(dialect.error(meaning)));
    *response.status_mut() = meaning.status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-leeward-error", HeaderValue::from_static(meaning.code));
    headers.insert("x-should-retry", HeaderValue::from_static(if meaning.retry { "true" } else { "false" }));
    if meaning.retry {
        let seconds = meaning.retry_after.map_or(1, |after| after.as_secs_f64().ceil().max(1.0) as u64);
        headers.insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if attempts > 0 {
        headers.insert("x-leeward-attempts", HeaderValue::from(attempts));
    }
    response
}

/// The same as an event, for a stream whose head is out and whose content never came.
pub(super) fn event(error: &Error, dialect: Dialect) -> Bytes {
    let meaning = error.meaning();
    dialect.error_event(meaning.status, dialect.error(&meaning).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_told_in_its_own_dialect() {
        let error = Error::Upstream(Failure { cause: Cause::Connect, detail: "no connection to x (refused)".into() }).meaning();
        let parsed = |d: Dialect| serde_json::from_str::<serde_json::Value>(&d.error(&error)).unwrap();
        assert_eq!(parsed(Dialect::Anthropic)["error"]["type"], "api_error");
        assert_eq!(parsed(Dialect::OpenAi)["error"]["code"], "connect");
        assert_eq!(parsed(Dialect::Gemini)["error"]["status"], "UNAVAILABLE");
        assert!(parsed(Dialect::Bedrock)["message"].as_str().unwrap().starts_with("Leeward: "));
        assert!(parsed(Dialect::Ollama)["error"].as_str().unwrap().starts_with("Leeward: "));
        let response = respond(&error, Dialect::Anthropic, 3);
        assert_eq!(response.status(), 503);
        for (name, value) in [("retry-after", "1"), ("x-should-retry", "true"), ("x-leeward-attempts", "3")] {
            assert_eq!(response.headers()[name], value, "{name}");
        }
    }

    #[test]
    fn who_was_parked_is_told_when_the_next_probe_is_due() {
        for (next, seconds) in [(0, "1"), (1000, "1"), (1001, "2")] {
            let failure = Failure { cause: Cause::CircuitOpen, detail: "d".into() };
            let error = Error::Parked(failure, Duration::from_millis(next));
            let response = respond(&error.meaning(), Dialect::OpenAi, 1);
            assert_eq!(response.headers()["retry-after"], seconds);
        }
    }

    /// Of every error on an upstream's path, whatever it is made of.
    fn all() -> Vec<Meaning> {
        let failure = |cause| Failure { cause, detail: "d".into() };
        let of_causes = Cause::ALL.iter().map(|cause| Error::Upstream(failure(*cause)));
        let others = [
            Error::UnknownUpstream("x".into()),
            Error::UnclearName,
            Error::BadTarget,
            Error::Circle,
            Error::TooManyUploads,
            Error::BodyTooLarge,
            Error::BodyMalformed("d".into()),
            Error::BodyBroken("d".into()),
            Error::Local(failure(Cause::Connect)),
            Error::Parked(failure(Cause::CircuitOpen), Duration::from_secs(3)),
        ];
        // A new one does not compile until it stands above.
        match &others[0] {
            Error::UnknownUpstream(_) | Error::UnclearName | Error::BadTarget | Error::Circle | Error::TooManyUploads => {}
            Error::BodyTooLarge | Error::BodyMalformed(_) | Error::BodyBroken(_) => {}
            Error::Upstream(_) | Error::Local(_) | Error::Parked(..) => {}
        }
        of_causes.chain(others).map(|error| error.meaning()).collect()
    }

    /// Agents decide by status and header, and the page says what they were seen to do. An error that the page does not know has
    /// not been tried on an agent.
    #[test]
    fn what_agents_make_of_every_error_is_known() {
        let page = include_str!("../../../docs/http.md");
        let (_, seen) = page.split_once("### What agents make of an error").unwrap();
        let rows = |page: &'static str| page.lines().filter_map(|line| line.strip_prefix("| ")).map(|line| line.split(" | "));
        for Meaning { status, code, retry, .. } in all() {
            let status = status.as_str();
            assert!(
                rows(page).any(|mut row| row.next() == Some(&format!("`{code}`")) && row.next().unwrap().starts_with(status)),
                "docs/http.md has no row `{code}` with {status}"
            );
            let header = format!("`{retry}`");
            assert!(
                rows(seen).any(|mut row| row.next().unwrap().split(", ").any(|s| s == status) && row.next() == Some(&header)),
                "nobody has tried {status} with x-should-retry: {retry} on an agent ({code})"
            );
            assert_ne!(status, "404", "{code}: Claude Code then says that the model does not exist");
        }
    }

    /// After three errors of this type Claude Code gives up, though the outage may end.
    #[test]
    fn no_error_says_overloaded() {
        for meaning in all() {
            for dialect in [Dialect::Anthropic, Dialect::OpenAi, Dialect::Gemini, Dialect::Bedrock, Dialect::Ollama] {
                assert!(!dialect.error(&meaning).contains("overloaded"), "{}", meaning.code);
            }
            let response = respond(&meaning, Dialect::Anthropic, 1);
            let headers = response.headers();
            assert_eq!(headers["x-should-retry"], if meaning.retry { "true" } else { "false" }, "{}", meaning.code);
            assert_eq!(headers.contains_key("retry-after"), meaning.retry, "{}", meaning.code);
        }
    }

    #[test]
    fn what_cannot_be_cured_by_trying_again_says_so() {
        for cause in [Cause::Certificate, Cause::Loop] {
            let error = Error::Upstream(Failure { cause, detail: "d".into() });
            let response = respond(&error.meaning(), Dialect::OpenAi, 1);
            assert_eq!(response.headers()["x-should-retry"], "false", "{cause:?}");
            assert!(!response.headers().contains_key("retry-after"));
        }
    }
}
