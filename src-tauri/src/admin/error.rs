//! What own paths say instead of a response: status, code and a sentence, as JSON. For control clients; agents hear of
//! the failures of their requests elsewhere, in the form of the API that they asked.

use crate::exchange;
use axum::response::{IntoResponse, Response};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::json;

const CODE: HeaderName = HeaderName::from_static("x-leeward-error");

/// Why an own path does not do what it was asked for.
#[derive(Debug)]
pub(super) enum Error {
    /// A control path without or with a wrong token.
    Unauthorized,
    /// A path that does not exist.
    NoSuchPath,
    /// The panel's files are not installed.
    NoPanel,
    /// This program shows no window.
    NoWindow,
    /// This program examines nothing.
    NoDoctor,
    /// No upstream of that name.
    UnknownUpstream(String),
    /// The path exists for these methods, as `Allow` lists them.
    WrongMethod(&'static str),
    /// A request that cannot be understood or done; the sentence says why.
    BadRequest(String),
    /// Somebody else has what was asked for; the sentence says what.
    Taken(String),
    /// What was asked for is under way; the sentence says what.
    AlreadyRuns(String),
    /// What was asked for needs something else first; the sentence says what.
    NotYet(String),
    /// A command was not carried out; the sentence says why.
    Undone(String),
}

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NoSuchPath | Self::NoPanel | Self::NoWindow | Self::NoDoctor | Self::UnknownUpstream(_) => {
                StatusCode::NOT_FOUND
            }
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Taken(_) | Self::AlreadyRuns(_) | Self::NotYet(_) => StatusCode::CONFLICT,
            Self::Undone(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "control-token",
            Self::NoSuchPath => "no-such-path",
            Self::NoPanel => "no-panel",
            Self::NoWindow => "no-window",
            Self::NoDoctor => "no-doctor",
            Self::UnknownUpstream(_) => "unknown-upstream",
            Self::WrongMethod(_) => "wrong-method",
            Self::BadRequest(_) => "bad-request",
            Self::Taken(_) => "name-taken",
            Self::AlreadyRuns(_) => "busy",
            Self::NotYet(_) => "not-yet",
            Self::Undone(_) => "not-done",
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Unauthorized => {
                "Control paths need `Authorization: Bearer …` with the token from the state folder (control.token).".into()
            }
            Self::NoSuchPath => "Leeward has no such control path.".into(),
            Self::NoPanel => "The panel's files are not installed beside this program; install Leeward's package, or build them (npm --prefix ui run build).".into(),
            Self::NoWindow => "This Leeward has no window: it serves from a terminal or in the background; `leeward panel` opens the panel in a browser.".into(),
            Self::NoDoctor => "This Leeward examines nothing; run `leeward doctor` in a terminal.".into(),
            Self::UnknownUpstream(name) => exchange::Error::UnknownUpstream(name.clone()).meaning().sentence,
            Self::WrongMethod(methods) => {
                let methods: Vec<&str> = methods.split(", ").filter(|method| *method != "HEAD").collect();
                format!("This control path is for {}.", methods.join(" or "))
            }
            Self::BadRequest(why) | Self::Taken(why) | Self::AlreadyRuns(why) | Self::NotYet(why) | Self::Undone(why) => why.clone(),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(e: serde_json::Error) -> Self {
        Self::Undone(e.to_string())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code(), "message": self.sentence() } });
        let mut response = (self.status(), body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CODE, HeaderValue::from_static(self.code()));
        match self {
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::WrongMethod(methods) => {
                headers.insert(ALLOW, HeaderValue::from_static(methods));
            }
            // Trying again can help.
            Self::Undone(_) | Self::AlreadyRuns(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
