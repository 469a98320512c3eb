//! What the contract tests share: an engine on a free port with millisecond clocks, and clients that misbehave.

pub mod company;
pub mod decrypted;
pub mod edge;
pub mod middlebox;
pub mod raw;
pub mod seam;
pub mod tunnel;
pub mod websocket;

use leeward::{
    config::{Config, Trust},
    supervisor::{Engine, NetworkSource, TestHooks},
};
use scripted::Upstream;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// Longer than anything here takes on a busy machine; reaching it is a failure.
pub const LIMIT: Duration = Duration::from_secs(20);

/// An engine of a test; dropped with it.
pub struct TestEngine {
    pub engine: Engine,
    pub address: SocketAddr,
    pub home: tempfile::TempDir,
}

/// A config with short clocks that points at `upstream`.
pub fn config(home: &std::path::Path, upstream: Option<&Upstream>) -> Config {
    let mut config = Config::under(home).unwrap();
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.listen_pinned = true;
    config.workers = 2;
    config.client.linger = Duration::from_millis(300);
    config.retry.total = Duration::from_secs(5);
    config.retry.base = Duration::from_millis(2);
    config.retry.cap = Duration::from_millis(50);
    config.retry.budget_floor = 1000;
    config.connect.timeout = Duration::from_secs(2);
    config.connect.tls_timeout = Duration::from_secs(2);
    if let Some(upstream) = upstream {
        config.upstream = upstream.url().clone();
        if let Some(authority) = upstream.authority() {
            config.trust = Trust::Only(vec![authority.to_vec()]);
        }
    }
    config
}

/// A network that never changes.
pub fn silent() -> NetworkSource {
    Arc::new(|_| Box::pin(std::future::ready(())))
}

impl TestEngine {
    pub fn start(upstream: &Upstream) -> Self {
        Self::with(Some(upstream), |_| {}, TestHooks::default())
    }

    pub fn tuned(upstream: &Upstream, tune: impl FnOnce(&mut Config)) -> Self {
        Self::with(Some(upstream), tune, TestHooks::default())
    }

    pub fn with(upstream: Option<&Upstream>, tune: impl FnOnce(&mut Config), hooks: TestHooks) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut config = config(home.path(), upstream);
        tune(&mut config);
        let again = config.clone();
        // What the machine's own network does meanwhile is no part of a test.
        let hooks = TestHooks { network: hooks.network.or_else(|| Some(silent())), ..hooks };
        let engine = Engine::start_with(config, Box::new(move || Ok(again.clone())), hooks).unwrap();
        Self { address: engine.address(), engine, home }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(self.home.path().join("state/control.token")).unwrap()
    }

    pub async fn health(&self) -> serde_json::Value {
        client().get(self.url("/health")).send().await.unwrap().json().await.unwrap()
    }

    /// A new generation takes over; what is said of it.
    pub async fn restart(&self) -> serde_json::Value {
        let answer = client().post(self.url("/_leeward/v1/restart")).bearer_auth(self.token()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    pub async fn stats(&self) -> serde_json::Value {
        client().get(self.url("/stats")).send().await.unwrap().json().await.unwrap()
    }
}

/// A client without proxies or retries of its own.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(LIMIT).retry(reqwest::retry::never()).build().unwrap()
}

/// Waits until `done` says so; fails with `what` at the limit.
pub async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !done().await {
        assert!(Instant::now() < until, "{what} did not happen within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A Messages request; `stream` as the agents set it.
pub fn message(stream: bool) -> serde_json::Value {
    serde_json::json!({ "model": "claude-test", "max_tokens": 64, "stream": stream, "messages": [{ "role": "user", "content": "hello" }] })
}
