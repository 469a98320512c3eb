//! `/_leeward/v1/doctor`: an examination of this machine while it runs, and the bundle of the last one. Examines nothing itself.

use super::{
    error::Error,
    events::Patient,
    extract::{Json, text},
    state::Admin,
};
use crate::examination::{Asked, Examiner, Lines, Refusal};
use axum::{
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::Value;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// Something is said at least this often, so that either side notices when the other is gone.
const BEAT: Duration = Duration::from_secs(5);
/// More than all checks may take together, those of a minute included.
const LONGEST: Duration = Duration::from_secs(180);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DoctorRequest {
    #[serde(default)]
    long: bool,
    #[serde(default)]
    checks: Vec<String>,
}

/// Streams an examination. It ends with its reader, and with its generation.
pub(super) async fn examine(
    State(admin): State<Arc<Admin>>,
    Json(DoctorRequest { long, checks }): Json<DoctorRequest>,
) -> Result<Response, Error> {
    let lines = examiner(&admin)?.examine(Asked { long, checks })?;
    let body = Body::from_stream(pieces(lines).take_until(sleep(LONGEST)).take_until(admin.draining()));
    Ok(text("application/x-ndjson", Body::new(Patient::new(body))))
}

/// What the bundle of the last examination will hold: it is shown before anything is written.
pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Result<Json<Value>, Error> {
    Ok(Json(examiner(&admin)?.list().await?))
}

/// The bundle that was listed.
pub(super) async fn pack(State(admin): State<Arc<Admin>>) -> Result<Response, Error> {
    let bytes = examiner(&admin)?.pack().await?;
    Ok(text("application/zip", bytes).into_response())
}

fn examiner(admin: &Admin) -> Result<&Examiner, Error> {
    admin.examiner.as_ref().ok_or(Error::NoDoctor)
}

/// One line of JSON each, and an empty one where there is nothing to say for a while.
fn pieces(lines: Lines) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream::unfold(lines, async |mut lines| match timeout(BEAT, lines.next()).await {
        Ok(Some(line)) => Some((Ok(Bytes::from(format!("{line}\n"))), lines)),
        Ok(None) => None,
        Err(_) => Some((Ok(Bytes::from_static(b"\n")), lines)),
    })
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let why = refusal.to_string();
        match refusal {
            Refusal::AlreadyRuns => Self::AlreadyRuns(why),
            Refusal::NotYet => Self::NotYet(why),
            Refusal::UnknownCheck(_) => Self::BadRequest(why),
            Refusal::Failed(_) => Self::Undone(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_filled_and_the_end_is_the_examinations() {
        let lines = stream::iter([1, 2]).then(async |n| {
            sleep(BEAT.mul_f32(1.5)).await;
            Value::from(n)
        });
        let all: Vec<Bytes> = pieces(Box::pin(lines)).map(Result::unwrap).collect().await;
        assert_eq!(all, ["\n", "1\n", "\n", "2\n"]);
    }
}
