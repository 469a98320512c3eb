//! What handlers are given and what they answer with: JSON, queries and the token, refused in the own paths' words.

use super::{error::Error, state::Admin};
use axum::{
    body::{Body, Bytes},
    extract::{self, FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, header, request::Parts};
use serde::{Serialize, de::DeserializeOwned};
use std::{net::SocketAddr, sync::Arc};

/// Names Leeward to whoever asks what serves here.
const LEEWARD: HeaderName = HeaderName::from_static("x-leeward");

/// A body of JSON, whatever type the client says it has; and a response that no cache keeps.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|e| Error::BadRequest(format!("The body could not be read: {}.", innermost(&e))))?;
        let read = axum::Json::from_bytes(&body);
        read.map(|axum::Json(value)| Self(value))
            .map_err(|e| Error::BadRequest(format!("The body is not what this path takes: {}.", reason(&e))))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => text("application/json", json),
            Err(e) => Error::from(e).into_response(),
        }
    }
}

/// A response of any kind that no cache keeps.
pub(super) fn text(kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(LEEWARD, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    response
}

/// The query of the URL.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let read = extract::Query::from_request_parts(parts, state).await;
        read.map(|extract::Query(value)| Self(value))
            .map_err(|e| Error::BadRequest(format!("The query is not what this path takes: {}.", reason(&e))))
    }
}

/// Our end of the connection that a request came on: while one address follows another, two are served.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArrivedAt(pub(super) SocketAddr);

impl FromRequestParts<Arc<Admin>> for ArrivedAt {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Error> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(admin.local)))
    }
}

/// A client that has shown the control token.
pub(super) struct Token;

impl FromRequestParts<Arc<Admin>> for Token {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Error> {
        let given =
            parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
        if given.is_some_and(|token| admin.token.matches(token)) { Ok(Self) } else { Err(Error::Unauthorized) }
    }
}

/// The cause of a rejection of axum's, without axum's own words.
fn reason(rejection: &dyn std::error::Error) -> String {
    rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string)
}

fn innermost(mut error: &dyn std::error::Error) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
