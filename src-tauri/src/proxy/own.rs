//! Leeward's own paths: health, stats and metrics for anybody on this machine, control for holders of the token.

mod config;
mod events;
mod history;
mod logs;
mod metrics;
mod panel;
mod session;
#[cfg(test)]
mod typescript;

use super::{
    Proxy,
    error::{self, Dialect, Error},
    reply::Reply,
    route::Own,
};
use crate::{
    control::Command,
    health::{Severity, unix_ms},
    status::Phase,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// A control request is a few names and numbers.
const MAX_BODY: usize = 64 << 10;

fn answer(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Reply> {
    let mut response = Response::new(Reply::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert("x-leeward", HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    response
}

fn json_answer(status: StatusCode, value: &serde_json::Value) -> Response<Reply> {
    answer(status, "application/json", value.to_string())
}

/// The counters, and the connections of this generation.
fn stats(proxy: &Proxy) -> Vec<u8> {
    let mut stats = proxy.shared.traffic.snapshot();
    stats.origins = proxy.origin_stats();
    serde_json::to_vec(&stats).unwrap_or_default()
}

/// Health, stats and metrics.
pub(super) fn show(proxy: &Proxy, own: Own, method: &Method) -> Response<Reply> {
    if ![Method::GET, Method::HEAD].contains(method) {
        return error::respond(&Error::WrongMethod("GET"), Dialect::Own, 0);
    }
    let shared = &proxy.shared;
    match own {
        Own::Livez => answer(StatusCode::OK, "text/plain", "ok\n"),
        Own::Readyz => {
            let status = shared.live_status();
            let broken: Vec<_> = status.conditions.iter().filter(|c| c.severity == Severity::Broken).collect();
            let accepts = matches!(status.phase, Phase::Serving | Phase::Restarting);
            let code = if accepts && broken.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            json_answer(code, &json!({ "ready": code == StatusCode::OK, "conditions": broken }))
        }
        Own::Health => {
            let status = shared.live_status();
            let listener = &status.listener;
            json_answer(
                StatusCode::OK,
                &json!({
                    "status": status.verdict(),
                    "version": status.version,
                    "pid": status.pid,
                    "uptime_s": unix_ms().saturating_sub(status.started_unix_ms) / 1000,
                    "generation": status.generation,
                    "listener": listener,
                    "conditions": status.conditions,
                }),
            )
        }
        Own::Stats => answer(StatusCode::OK, "application/json", stats(proxy)),
        Own::Metrics => {
            answer(StatusCode::OK, "text/plain; version=0.0.4", metrics::text(&shared.live_status(), &shared.traffic.snapshot()))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StopRequest {
    drain_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HandoverRequest {
    to: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WarmRequest {
    upstream: Option<String>,
}

/// Paths below `/_leeward/`.
pub(super) async fn control(proxy: &Arc<Proxy>, path: &str, request: Request<Incoming>) -> Response<Reply> {
    if path == "ui" || path.starts_with("ui/") {
        return panel::serve(proxy, path, request.method()).await;
    }
    let given = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    if !given.is_some_and(|token| proxy.shared.token.matches(token)) {
        return error::respond(&Error::Unauthorized, Dialect::Own, 0);
    }
    act(proxy, path, request).await.unwrap_or_else(|e| error::respond(&e, Dialect::Own, 0))
}

async fn act(proxy: &Arc<Proxy>, path: &str, request: Request<Incoming>) -> Result<Response<Reply>, Error> {
    let expected = match path {
        "v1/status" | "v1/stats" | "v1/activity" | "v1/events" | "v1/history" | "v1/logs" => "GET",
        "v1/restart" | "v1/stop" | "v1/handover" | "v1/show" | "v1/warm" | "v1/sessions" | "v1/config/check" => "POST",
        "v1/config" => "GET or POST",
        _ => return Err(Error::NoSuchPath),
    };
    if !expected.split(" or ").any(|method| method == request.method().as_str()) {
        return Err(Error::WrongMethod(expected));
    }
    match path {
        "v1/status" => Ok(json_answer(
            StatusCode::OK,
            &serde_json::to_value(proxy.shared.live_status()).map_err(|e| Error::Undone(e.to_string()))?,
        )),
        "v1/stats" => Ok(answer(StatusCode::OK, "application/json", stats(proxy))),
        "v1/activity" => Ok(json_answer(StatusCode::OK, &json!({ "requests": proxy.shared.traffic.activities().list() }))),
        "v1/events" => Ok(events::open(proxy)),
        "v1/history" => {
            let history = history::ask(proxy, request.uri().query().unwrap_or_default()).await?;
            let json = serde_json::to_vec(&history).map_err(|e| Error::Undone(e.to_string()))?;
            Ok(answer(StatusCode::OK, "application/json", json))
        }
        "v1/logs" => {
            let tail = logs::read(proxy, request.uri().query().unwrap_or_default()).await?;
            Ok(json_answer(StatusCode::OK, &serde_json::to_value(tail).map_err(|e| Error::Undone(e.to_string()))?))
        }
        "v1/config" if request.method() == Method::GET => config::show(proxy).await,
        "v1/config" => config::set(proxy, parse(request).await?).await,
        "v1/config/check" => config::check(proxy, parse(request).await?).await,
        "v1/restart" => restart(proxy).await,
        "v1/stop" => {
            let StopRequest { drain_ms } = parse(request).await?;
            command(proxy, Command::Stop { drain: Duration::from_millis(drain_ms) }).await?;
            Ok(json_answer(StatusCode::ACCEPTED, &json!({ "stopping": true })))
        }
        "v1/handover" => {
            let HandoverRequest { to } = parse(request).await?;
            let (reply, told) = oneshot::channel();
            told_of(proxy, Command::HandOver { to, reply }, told).await?;
            Ok(json_answer(StatusCode::OK, &json!({ "handed_over": true })))
        }
        "v1/show" => {
            proxy.shared.window.as_ref().ok_or(Error::NoWindow)?.show();
            Ok(json_answer(StatusCode::ACCEPTED, &json!({ "shown": true })))
        }
        "v1/warm" => {
            let WarmRequest { upstream } = parse(request).await?;
            let found =
                proxy.upstream(upstream.as_deref()).ok_or_else(|| Error::UnknownUpstream(upstream.unwrap_or_default()))?;
            Ok(json_answer(StatusCode::OK, &json!({ "warmed": found.origin.warm(proxy.config.connect.parallel) })))
        }
        _ => session::open(proxy, parse(request).await?).await,
    }
}

async fn command(proxy: &Proxy, command: Command) -> Result<(), Error> {
    proxy
        .shared
        .commands
        .send(command)
        .await
        .map_err(|_| Error::Undone("The engine is stopping and takes no more commands.".into()))
}

/// As `command`, for one that is answered.
async fn told_of<T>(proxy: &Proxy, it: Command, told: oneshot::Receiver<Result<T, String>>) -> Result<T, Error> {
    command(proxy, it).await?;
    match told.await {
        Ok(done) => done.map_err(Error::Undone),
        Err(_) => Err(Error::Undone("The engine stopped before it could do that.".into())),
    }
}

async fn restart(proxy: &Proxy) -> Result<Response<Reply>, Error> {
    let (reply, told) = oneshot::channel();
    let done = told_of(proxy, Command::Restart { reply }, told).await?;
    Ok(json_answer(StatusCode::OK, &serde_json::to_value(done).map_err(|e| Error::Undone(e.to_string()))?))
}

async fn parse<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Error> {
    let body = Limited::new(request.into_body(), MAX_BODY)
        .collect()
        .await
        .map_err(|e| Error::BadRequest(format!("The body could not be read: {e}.")))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|e| Error::BadRequest(format!("The body is not what this path takes: {e}.")))
}
