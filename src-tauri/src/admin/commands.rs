//! What somebody asks for: forwarded to the supervisor, the window or an upstream. Decides nothing.

use super::{error::Error, extract::Json, state::Admin};
use crate::control::{Command, Restarted};
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::oneshot;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StopRequest {
    drain_ms: u64,
    /// Ended on purpose: whoever holds the port lets go first, and nobody starts Leeward again.
    #[serde(default)]
    release: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HandoverRequest {
    to: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WarmRequest {
    upstream: Option<String>,
}

pub(super) async fn restart(State(admin): State<Arc<Admin>>) -> Result<Json<Restarted>, Error> {
    let (reply, told) = oneshot::channel();
    told_of(&admin, Command::Restart { reply }, told).await.map(Json)
}

pub(super) async fn stop(
    State(admin): State<Arc<Admin>>,
    Json(StopRequest { drain_ms, release }): Json<StopRequest>,
) -> Result<(StatusCode, Json<Value>), Error> {
    if release {
        let (reply, done) = oneshot::channel();
        send(&admin, Command::LetGo { reply }).await?;
        // An engine that ends meanwhile has nobody to wait for.
        done.await.ok();
    }
    send(&admin, Command::Stop { drain: Duration::from_millis(drain_ms) }).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "stopping": true }))))
}

pub(super) async fn hand_over(
    State(admin): State<Arc<Admin>>,
    Json(HandoverRequest { to }): Json<HandoverRequest>,
) -> Result<Json<Value>, Error> {
    let (reply, told) = oneshot::channel();
    told_of(&admin, Command::HandOver { to, reply }, told).await?;
    Ok(Json(json!({ "handed_over": true })))
}

pub(super) async fn show_window(State(admin): State<Arc<Admin>>) -> Result<(StatusCode, Json<Value>), Error> {
    admin.window.as_ref().ok_or(Error::NoWindow)?.show();
    Ok((StatusCode::ACCEPTED, Json(json!({ "shown": true }))))
}

pub(super) async fn warm(
    State(admin): State<Arc<Admin>>,
    Json(WarmRequest { upstream }): Json<WarmRequest>,
) -> Result<Json<Value>, Error> {
    let warmed = admin.upstreams.warm(upstream.as_deref());
    let warmed = warmed.ok_or_else(|| Error::UnknownUpstream(upstream.unwrap_or_default()))?;
    Ok(Json(json!({ "warmed": warmed })))
}

/// Gives the supervisor a command.
pub(super) async fn send(admin: &Admin, command: Command) -> Result<(), Error> {
    let gone = |_| Error::Undone("The engine is stopping and takes no more commands.".into());
    admin.commands.send(command).await.map_err(gone)
}

/// As `send`, for a command that is answered.
async fn told_of<T>(admin: &Admin, command: Command, told: oneshot::Receiver<Result<T, String>>) -> Result<T, Error> {
    send(admin, command).await?;
    match told.await {
        Ok(done) => done.map_err(Error::Undone),
        Err(_) => Err(Error::Undone("The engine stopped before it could do that.".into())),
    }
}
