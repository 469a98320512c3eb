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
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Where a link leads. Whoever asks there must be a program of this user, which `inbound` sees to.
pub(crate) const OPEN: &str = "/_leeward/ui/open";
/// A browser that has to be started first takes some seconds.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// More are asked for by nobody; the oldest one goes.
const MOST: usize = 8;

/// The links that were given out and not used.
#[derive(Debug, Default)]
pub(crate) struct Invitations(Mutex<Vec<(String, Instant)>>);

impl Invitations {
    fn give(&self) -> Result<String, Error> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|e| Error::Undone(format!("The system gave no random bytes ({e}).")))?;
        let code: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.remove(0);
        }
        all.push((code.clone(), Instant::now() + GOOD_FOR));
        Ok(code)
    }

    /// Whether that is one; it is used up.
    fn take(&self, code: &str) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, until)| *until > Instant::now());
        let found = all.iter().position(|(known, _)| known == code);
        found.is_some_and(|at| {
            all.remove(at);
            true
        })
    }
}

/// A link for `leeward panel`.
pub(super) async fn give(State(admin): State<Arc<Admin>>) -> Result<Json<Value>, Error> {
    if admin.panel.is_none() {
        return Err(Error::NoPanel);
    }
    let code = admin.invitations.give()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_link_is_good_once_and_not_for_long() {
        let all = Invitations::default();
        let [first, second] = [0, 1].map(|_| all.give().unwrap());
        assert!(first != second && first.len() == 64);
        assert_eq!([all.take("0"), all.take(&first), all.take(&first)], [false, true, false]);
        tokio::time::advance(GOOD_FOR).await;
        assert!(!all.take(&second), "too late");
        let many: Vec<_> = (0..=MOST).map(|_| all.give().unwrap()).collect();
        assert_eq!([all.take(&many[0]), all.take(&many[1])], [false, true]);
    }
}
