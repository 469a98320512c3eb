//! How things are: health, stats and metrics. Changes nothing.

use super::{
    error::Error,
    extract::{ArrivedAt, Json, Query, text},
    metrics,
    state::Admin,
};
use crate::{
    health::{Severity, unix_ms},
    proof::Challenge,
    status::{Phase, Status, stats::Stats},
};
use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofQuery {
    challenge: String,
}

/// For anybody: it says nothing of the token, and whoever wants to send one asks first.
pub(super) async fn proof(
    State(admin): State<Arc<Admin>>,
    ArrivedAt(address): ArrivedAt,
    Query(ProofQuery { challenge }): Query<ProofQuery>,
) -> Result<Json<Value>, Error> {
    let challenge = Challenge::parse(&challenge);
    let challenge = challenge.ok_or_else(|| Error::BadRequest("A challenge has 64 hexadecimal digits.".into()))?;
    Ok(Json(json!({ "proof": challenge.answer(&admin.token, address) })))
}

pub(super) async fn livez() -> Response {
    text("text/plain", "ok\n")
}

pub(super) async fn readyz(State(admin): State<Arc<Admin>>) -> (StatusCode, Json<Value>) {
    let status = admin.live_status();
    let broken: Vec<_> = status.conditions.iter().filter(|c| c.severity == Severity::Broken).collect();
    let ready = matches!(status.phase, Phase::Serving | Phase::Restarting) && broken.is_empty();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "ready": ready, "conditions": broken })))
}

pub(super) async fn health(State(admin): State<Arc<Admin>>) -> Json<Value> {
    let status = admin.live_status();
    Json(json!({
        "status": status.verdict(),
        "version": status.version,
        "pid": status.pid,
        "uptime_s": unix_ms().saturating_sub(status.started_unix_ms) / 1000,
        "generation": status.generation,
        "listener": status.listener,
        "conditions": status.conditions,
    }))
}

pub(super) async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    text("text/plain; version=0.0.4", metrics::text(&admin.live_status(), &admin.traffic.snapshot()))
}

pub(super) async fn stats(State(admin): State<Arc<Admin>>) -> Json<Stats> {
    Json(admin.stats())
}

pub(super) async fn status(State(admin): State<Arc<Admin>>) -> Json<Status> {
    Json(admin.live_status())
}

pub(super) async fn activity(State(admin): State<Arc<Admin>>) -> Json<Value> {
    Json(json!({ "requests": admin.traffic.activities().list() }))
}
