//! The only place that turns an error into an HTTP response: status, sentence, whose fault, in the client's dialect.

mod dialect;
mod meaning;

pub(crate) use dialect::Dialect;
pub(crate) use meaning::{Meaning, short};

use crate::{
    message::{Failure, Told},
    status::faults::Cause,
    upstream::Upstream,
};
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
    Upstream(Spent),
}

/// An upstream that failed for good, as far as one request is concerned.
#[derive(Debug)]
pub(crate) struct Spent {
    /// What went wrong.
    cause: Cause,
    /// In words.
    told: Told,
    /// How long there has been no connection to it.
    lasted: Option<Duration>,
    /// Attempts that were made.
    attempts: u32,
    /// When the next connection is tried, where a circuit says so.
    next: Option<Duration>,
}

impl Error {
    /// Of a request that failed, after so many attempts.
    pub(super) fn of(failure: &Failure, upstream: &Upstream, attempts: u32) -> Self {
        let origin = &upstream.origin;
        let told = failure.told(&origin.endpoint.name());
        let lasted = told.unreached.and_then(|_| origin.failing_for());
        let next = (failure.cause == Cause::CircuitOpen).then(|| origin.next_dial_in());
        Self::Upstream(Spent { cause: failure.cause, told, lasted, attempts, next })
    }

    /// Status, code and sentence.
    pub(crate) fn meaning(&self) -> Meaning {
        let m = |status, code, retry, sentence: &str| Meaning::new(status, code, retry, sentence);
        match self {
            Self::BodyTooLarge => {
                m(413, "body-too-large", false, "The request's body is larger than limits.body_bytes in Leeward's config.")
            }
            Self::BodyMalformed(why) => {
                let sentence = format!("The agent's request is not valid HTTP: {}.", meaning::short(why, 80));
                m(400, "body-malformed", false, &sentence)
            }
            Self::BodyBroken(why) => {
                m(408, "body-broken", true, &format!("The agent's request did not arrive whole: {}.", meaning::short(why, 80)))
            }
            Self::UnknownUpstream(name) => {
                let name = meaning::short(name, 40);
                // Not 404: Claude Code then says that the model does not exist, and nothing of what stands here.
                m(
                    400,
                    "unknown-upstream",
                    false,
                    &format!("Leeward knows no upstream `{name}`; add it under [upstreams], or see `leeward config show`."),
                )
            }
            Self::UnclearName => m(
                400,
                "unclear-upstream",
                false,
                "The path names an upstream, but not as `/@NAME/`. Remove a slash at the end of the base URL, and write `@` as it is.",
            ),
            Self::BadTarget => m(400, "bad-target", false, "The path after the upstream's name is not a valid request target."),
            Self::Circle => m(
                508,
                "loop",
                false,
                "This Leeward's upstream leads back to it through another one. Set `upstream` in one of the configs to the API.",
            ),
            Self::TooManyUploads => m(
                503,
                "too-many-uploads",
                true,
                "Uploads hold half of this API's connections (pool.size in Leeward's config), and none ended in time.",
            ),
            Self::Upstream(Spent { cause, told, lasted, attempts, next }) => {
                let sentence = meaning::sentence(told, *lasted, *attempts);
                Meaning { retry_after: *next, ..meaning::of_cause(*cause, sentence) }
            }
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
mod tests;
