//! `/_leeward/v1/config`: the settings as `config` shows and checks them. Saved ones are in force with the next
//! generation, which is asked for at once.

use crate::{
    config::{Changes, Complaint, Refused, Settings, View},
    control::Command,
    proxy::{Proxy, error::Error, reply::Reply},
};
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, task::spawn_blocking, time::timeout};

/// A generation comes up in milliseconds; who saved is not kept longer when it does not.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetRequest {
    set: Changes,
}

pub(super) async fn show(proxy: &Proxy) -> Result<Response<Reply>, Error> {
    let settings = settings(proxy)?;
    let running = proxy.config.clone();
    answer(&on_disk(move || settings.view(&running)).await?.map_err(|e| Error::Undone(format!("{e}.")))?)
}

pub(super) async fn check(proxy: &Proxy, SetRequest { set }: SetRequest) -> Result<Response<Reply>, Error> {
    let settings = settings(proxy)?;
    let complaints = on_disk(move || settings.check(&set)).await?.map_err(|e| Error::Undone(format!("{e}.")))?;
    Ok(super::json_answer(StatusCode::OK, &json!({ "errors": complaints })))
}

pub(super) async fn set(proxy: &Proxy, SetRequest { set }: SetRequest) -> Result<Response<Reply>, Error> {
    let settings = settings(proxy)?;
    let keys: Vec<String> = set.keys().cloned().collect();
    match on_disk(move || settings.save(&set)).await? {
        Ok(()) => {}
        Err(Refused::Values(complaints)) => return Ok(refusal(&complaints)),
        Err(Refused::File(why)) => return Err(Error::Undone(why)),
    }
    tracing::info!("saved in the config file: {}", keys.join(", "));
    let (reply, told) = oneshot::channel();
    super::command(proxy, Command::Restart { reply }).await?;
    // How it went is seen in the conditions; the file is saved in any case.
    timeout(IN_FORCE_WITHIN, told).await.ok();
    show(proxy).await
}

/// 422 with what is wrong, key by key.
fn refusal(complaints: &[Complaint]) -> Response<Reply> {
    let sentence = match complaints {
        [one] if !one.key.is_empty() => format!("{}: {}.", one.key, one.message),
        [one] => format!("{}.", one.message),
        many => format!("{} values are not good; nothing was saved.", many.len()),
    };
    let body = json!({ "error": { "code": "bad-values", "message": sentence }, "errors": complaints });
    super::json_answer(StatusCode::UNPROCESSABLE_ENTITY, &body)
}

fn settings(proxy: &Proxy) -> Result<Arc<Settings>, Error> {
    let none = || Error::Undone("This Leeward was started without a config file, so there is nothing to change.".into());
    proxy.shared.settings.clone().ok_or_else(none)
}

fn answer(view: &View) -> Result<Response<Reply>, Error> {
    let json = serde_json::to_vec(view).map_err(|e| Error::Undone(e.to_string()))?;
    Ok(super::answer(StatusCode::OK, "application/json", json))
}

/// Off the workers that serve: a disk may be slow. Whoever asked may leave; what was begun is finished.
pub(super) async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    spawn_blocking(work).await.map_err(|e| Error::Undone(format!("It could not be done: {e}.")))
}
