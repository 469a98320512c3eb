//! Leeward's own paths: health, stats and metrics for anybody on this machine, the panel's files, and control for holders
//! of the token.
//!
//! One axum `Router`, built once per generation and called for each request to a path that `is_own`. It serves no
//! connection and knows nothing of how requests are forwarded.

mod agents;
mod commands;
mod config;
mod connection_test;
mod doctor;
mod error;
mod events;
mod extract;
mod history;
mod invitation;
mod invitations;
mod logs;
mod looks;
mod metrics;
mod panel;
mod session;
mod show;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod typescript;

pub(crate) use crate::proof::PATH as PROOF;
pub(crate) use invitation::OPEN;
pub(crate) use invitations::Invitations;
pub(crate) use looks::Agents;
pub(crate) use state::Admin;

use crate::proof;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request},
    middleware::from_extractor_with_state,
    response::Response,
    routing::{MethodRouter, get, post},
};
use error::Error;
use std::{future::ready, net::SocketAddr, sync::Arc};
use tower::ServiceExt;

/// A control request is a few names and numbers.
const MAX_BODY: usize = 64 << 10;

/// Whether Leeward answers this path itself; all others are an upstream's.
pub(crate) fn is_own(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/health" | "/stats" | "/metrics") || path.starts_with("/_leeward/")
}

/// Answers requests to own paths.
#[derive(Debug)]
pub(crate) struct OwnPaths(Router);

impl OwnPaths {
    pub(crate) fn new(admin: Admin) -> Self {
        let admin = Arc::new(admin);
        let token = from_extractor_with_state::<extract::Token, _>(admin.clone());
        // Without the token nobody learns which paths exist.
        let control = with_token().into_iter().fold(Router::new(), add).fallback(|| ready(Error::NoSuchPath));
        let control = control.layer(DefaultBodyLimit::max(MAX_BODY)).layer(token);
        Self(without_token().into_iter().fold(control, add).with_state(admin))
    }

    /// `at`: our end of the connection that the request came on.
    pub(crate) async fn answer<B>(&self, at: SocketAddr, request: http::Request<B>) -> Response
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(extract::ArrivedAt(at));
        match self.0.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// A path, the methods it is for as `Allow` lists them, and what answers them.
type Row = (&'static str, &'static str, MethodRouter<Arc<Admin>>);

fn without_token() -> Vec<Row> {
    const SEEN: &str = "GET, HEAD";
    vec![
        ("/livez", SEEN, get(show::livez)),
        ("/readyz", SEEN, get(show::readyz)),
        ("/health", SEEN, get(show::health)),
        ("/stats", SEEN, get(show::stats)),
        ("/metrics", SEEN, get(show::metrics)),
        (proof::PATH, "GET", get(show::proof)),
        ("/_leeward/ui", SEEN, get(panel::moved)),
        ("/_leeward/ui/", SEEN, get(panel::serve)),
        (OPEN, "GET", get(invitation::open)),
        ("/_leeward/ui/{*name}", SEEN, get(panel::serve)),
    ]
}

fn with_token() -> Vec<Row> {
    vec![
        ("/_leeward/v1/status", "GET", get(show::status)),
        ("/_leeward/v1/stats", "GET", get(show::stats)),
        ("/_leeward/v1/activity", "GET", get(show::activity)),
        ("/_leeward/v1/agents", "GET", get(agents::show)),
        ("/_leeward/v1/events", "GET", get(events::open)),
        ("/_leeward/v1/history", "GET", get(history::show)),
        ("/_leeward/v1/logs", "GET", get(logs::show)),
        ("/_leeward/v1/config", "GET, POST", get(config::show).post(config::set)),
        ("/_leeward/v1/config/check", "POST", post(config::check)),
        ("/_leeward/v1/doctor", "POST", post(doctor::examine)),
        ("/_leeward/v1/doctor/bundle", "GET", get(doctor::list)),
        ("/_leeward/v1/doctor/bundle.zip", "GET", get(doctor::pack)),
        ("/_leeward/v1/restart", "POST", post(commands::restart)),
        ("/_leeward/v1/stop", "POST", post(commands::stop)),
        ("/_leeward/v1/handover", "POST", post(commands::hand_over)),
        ("/_leeward/v1/show", "POST", post(commands::show_window)),
        ("/_leeward/v1/panel", "POST", post(invitation::give)),
        ("/_leeward/v1/authority", "POST", post(session::reread_authority)),
        ("/_leeward/v1/warm", "POST", post(commands::warm)),
        ("/_leeward/v1/test", "POST", post(connection_test::run)),
        ("/_leeward/v1/egress", "POST", post(session::egress)),
        ("/_leeward/v1/sessions", "POST", post(session::open)),
        ("/_leeward/v1/session", "GET", get(session::counts)),
    ]
}

fn add(router: Router<Arc<Admin>>, (path, methods, handler): Row) -> Router<Arc<Admin>> {
    let refuse = move || ready(Error::WrongMethod(methods));
    let handler = handler.fallback(refuse);
    // axum answers HEAD with the handler of GET unless there is one for it.
    let handler = if methods.contains("HEAD") { handler } else { handler.head(refuse) };
    router.route(path, handler)
}
