//! A real engine for the demo: its own folder, a free port, and trust in the demo's throw-away authority alone.

use super::error::Error;
use crate::{
    config::{Config, StreamMode, Trust},
    supervisor::Engine,
};
use scripted::Upstream;
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
    /// Removed with everything in it when the engine has stopped.
    home: TempDir,
}

impl Proxied {
    /// Starts it; the defaults of a user who has set nothing, but for where it listens, whom it asks and trusts, and the
    /// mode of streams.
    pub(super) async fn start(upstream: &Upstream, mode: StreamMode) -> Result<Self, Error> {
        let home = tempfile::Builder::new().prefix("leeward-demo-").tempdir()?;
        let mut config = Config::under(home.path())?;
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.listen_pinned = true;
        config.upstream = upstream.url().clone();
        config.stream.mode = mode;
        if let Some(authority) = upstream.authority() {
            config.trust = Trust::Only(vec![authority.to_vec()]);
        }
        let again = config.clone();
        let start = move || Engine::start(config, Box::new(move || Ok(again.clone())));
        let engine = spawn_blocking(start).await.map_err(io::Error::other)??;
        Ok(Self { engine, home })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.engine.address()
    }

    /// Faults that no client saw.
    pub(super) fn retried(&self) -> u64 {
        self.engine.traffic().snapshot().retried_total
    }

    /// Ends it and removes its folder.
    pub(super) async fn stop(self) -> Result<(), Error> {
        let Self { engine, home } = self;
        let stopped = spawn_blocking(move || {
            engine.stop(DRAIN);
            home.close()
        });
        Ok(stopped.await.map_err(io::Error::other)??)
    }
}
