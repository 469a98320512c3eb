//! One request's life between its client and an upstream: route, attempts, buffering, relay, errors.
//!
//! `attempts` holds the only retry loop and asks `retry` (pure) after each failure. Knows neither the client's connection
//! nor Leeward's own paths; `error` is the only place that turns a failure into a response in the client's dialect.

mod arrived;
mod attempts;
mod body;
mod context;
mod cuts;
mod deferred;
mod delivery;
mod error;
mod hints;
mod inference;
mod look;
mod operation;
mod redirect;
mod relay;
mod repair;
mod repeats;
mod request;
mod response_buffer;
pub mod retry;
pub mod route;
mod sending;
mod silence;
mod source;
mod switched;
mod upload;
mod via;

pub(crate) use body::ResponseBody;
pub(crate) use context::{Exchange, Shared};
pub(crate) use error::{Dialect, Error, Meaning, respond, short};
pub(crate) use inference::is_inference;
pub(crate) use operation::{Operation, Place};
pub(crate) use repair::Door;
pub(crate) use request::forward;
pub(crate) use switched::Switched;
