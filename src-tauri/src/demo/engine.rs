//! A real engine for the demo: its own folder, a free port, and trust in the demo's throw-away authority alone.

use super::{error::Error, session::Session};
use crate::{
    config::{CompanyProxy, Config, Paths, ProxyChoice, StreamMode, Trust},
    supervisor::Engine,
};
use scripted::{Forward, Upstream};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

/// What may still run when the demo is over.
const DRAIN: Duration = Duration::from_secs(1);

/// An engine in front of an upstream.
pub(super) struct Proxied {
    engine: Engine,
    paths: Paths,
    /// Removed with everything in it when the engine has stopped.
    home: TempDir,
}

impl Proxied {
    /// Starts it; the defaults of a user who has set nothing, but for where it listens, whom it asks and trusts, and the
    /// mode of streams.
    pub(super) async fn start(upstream: &Upstream, mode: StreamMode) -> Result<Self, Error> {
        Self::begin(upstream, |config| {
            config.upstream = upstream.url().clone();
            config.stream.mode = mode;
        })
        .await
    }

    /// As `start`, for a user behind a company's proxy: hosts have their real names, and all are the upstream.
    pub(super) async fn behind(company: &Forward, upstream: &Upstream) -> Result<Self, Error> {
        let proxy = format!("http://{}", company.address());
        let proxy = CompanyProxy::parse(&proxy, "proxy.url").map_err(io::Error::other)?;
        Self::begin(upstream, |config| config.proxy.url = ProxyChoice::Named(proxy)).await
    }

    async fn begin(upstream: &Upstream, tune: impl FnOnce(&mut Config)) -> Result<Self, Error> {
        let home = tempfile::Builder::new().prefix("leeward-demo-").tempdir()?;
        let mut config = Config::under(home.path())?;
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.listen_pinned = true;
        if let Some(authority) = upstream.authority() {
            config.trust = Trust::Only(vec![authority.to_vec()]);
        }
        tune(&mut config);
        let (again, paths) = (config.clone(), config.paths.clone());
        let start = move || Engine::start(config, Box::new(move || Ok(again.clone())));
        let engine = spawn_blocking(start).await.map_err(io::Error::other)??;
        Ok(Self { engine, paths, home })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.engine.address()
    }

    /// Faults that no client saw.
    pub(super) fn retried(&self) -> u64 {
        self.engine.traffic().snapshot().retried_total
    }

    /// An agent's session, whose connections are decrypted or not.
    pub(super) async fn session(&self, intercept: bool) -> io::Result<Session> {
        Session::open(self.address(), &self.paths.token_file(), &self.paths.authority_dir(), intercept).await
    }

    /// Ends it and removes its folder.
    pub(super) async fn stop(self) -> Result<(), Error> {
        let Self { engine, home, .. } = self;
        let stopped = spawn_blocking(move || {
            engine.stop(DRAIN);
            home.close()
        });
        Ok(stopped.await.map_err(io::Error::other)??)
    }
}
