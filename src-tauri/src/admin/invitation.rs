//! How a browser of this user gets the panel with its token: by a link that is good once and for half a minute. The link may stand
//! in a command line, which every user of the machine can read; the token never does. Opens no browser.

use super::{
    error::Error,
    extract::{Json, Query, text},
    panel::UI,
    state::Admin,
};
use axum::{extract::State, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Where a link leads. Whoever asks there must be a program of this user, which `inbound` sees to.
pub(crate) const OPEN: &str = "/_leeward/ui/open";

/// A link for `leeward panel`.
pub(super) async fn give(State(admin): State<Arc<Admin>>) -> Result<Json<Value>, Error> {
    if admin.panel.is_none() {
        return Err(Error::NoPanel);
    }
    let given = admin.invitations.give();
    let code = given.map_err(|e| Error::Undone(format!("The system gave no random bytes ({e}).")))?;
    Ok(Json(json!({ "path": format!("{OPEN}?code={code}") })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenQuery {
    code: String,
}

/// The panel, with the token after the `#`, which no browser sends on; without it where the link is used up.
pub(super) async fn open(
    State(admin): State<Arc<Admin>>,
    Query(OpenQuery { code }): Query<OpenQuery>,
) -> Result<Response, Error> {
    let to = if admin.invitations.take(&code) { format!("{UI}#token={}", admin.token.reveal()) } else { UI.to_owned() };
    let mut response = text("text/plain", "");
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::try_from(to).map_err(|_| Error::NoSuchPath)?;
    response.headers_mut().insert(header::LOCATION, to);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}
