//! `/_leeward/v1/config`: the settings as `config` shows and checks them. Saved ones are in force with the next
//! generation, which is asked for at once.

use super::{commands, error::Error, extract::Json, state::Admin};
use crate::{
    config::{Changes, Complaint, Refused, Settings, View},
    control::Command,
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, task::spawn_blocking, time::timeout};

/// A generation comes up in milliseconds; who saved is not kept longer when it does not.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetRequest {
    set: Changes,
}

pub(super) async fn show(State(admin): State<Arc<Admin>>) -> Result<Json<View>, Error> {
    let settings = settings(&admin)?;
    let running = admin.config.clone();
    on_disk(move || settings.view(&running)).await?.map(Json).map_err(|e| Error::Undone(format!("{e}.")))
}

pub(super) async fn check(
    State(admin): State<Arc<Admin>>,
    Json(SetRequest { set }): Json<SetRequest>,
) -> Result<Json<Value>, Error> {
    let settings = settings(&admin)?;
    let complaints = on_disk(move || settings.check(&set)).await?.map_err(|e| Error::Undone(format!("{e}.")))?;
    Ok(Json(json!({ "errors": complaints })))
}

pub(super) async fn set(State(admin): State<Arc<Admin>>, Json(SetRequest { set }): Json<SetRequest>) -> Result<Response, Error> {
    let settings = settings(&admin)?;
    let keys: Vec<String> = set.keys().cloned().collect();
    match on_disk(move || settings.save(&set)).await? {
        Ok(()) => {}
        Err(Refused::Values(complaints)) => return Ok(refusal(&complaints)),
        Err(Refused::File(why)) => return Err(Error::Undone(why)),
    }
    tracing::info!("saved in the config file: {}", keys.join(", "));
    let (reply, told) = oneshot::channel();
    commands::send(&admin, Command::Restart { reply }).await?;
    // How it went is seen in the conditions; the file is saved in any case.
    timeout(IN_FORCE_WITHIN, told).await.ok();
    show(State(admin)).await.map(Json::into_response)
}

/// 422 with what is wrong, key by key.
fn refusal(complaints: &[Complaint]) -> Response {
    let sentence = match complaints {
        [one] if !one.key.is_empty() => format!("{}: {}.", one.key, one.message),
        [one] => format!("{}.", one.message),
        many => format!("{} values are not good; nothing was saved.", many.len()),
    };
    let body = json!({ "error": { "code": "bad-values", "message": sentence }, "errors": complaints });
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}

fn settings(admin: &Admin) -> Result<Arc<Settings>, Error> {
    let none = || Error::Undone("This Leeward was started without a config file, so there is nothing to change.".into());
    admin.settings.clone().ok_or_else(none)
}

/// Off the workers that serve: a disk may be slow. Whoever asked may leave; what was begun is finished.
pub(super) async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    spawn_blocking(work).await.map_err(|e| Error::Undone(format!("It could not be done: {e}.")))
}
