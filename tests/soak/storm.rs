//! What happens to Leeward itself while the agents ask: restarts, other configs, refused ones, another network.

use leeward::{
    config::Config,
    control::Command,
    supervisor::{Engine, Reload},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, time::sleep};

/// The config "on disk".
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<Result<Config, String>>>);

impl Disk {
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Mutex::new(Ok(config))))
    }

    pub fn reload(&self) -> Reload {
        let disk = self.0.clone();
        Box::new(move || disk.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    pub fn write(&self, config: Result<Config, String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub restarts: u64,
    pub refused: u64,
    pub networks: u64,
}

/// A restart; whether the config on disk was taken.
pub async fn restart(engine: &Engine) -> bool {
    let (reply, answer) = oneshot::channel();
    engine.commands().send(Command::Restart { reply }).await.unwrap();
    let restarted = tokio::time::timeout(Duration::from_secs(30), answer).await.expect("a restart is answered");
    restarted.expect("the supervisor lives").expect("a restart succeeds").config_error.is_none()
}

/// Rages until then.
pub async fn rage(engine: &Engine, disk: &Disk, config: &Config, mut dice: fastrand::Rng, until: Instant) -> Count {
    let mut count = Count::default();
    while Instant::now() < until {
        sleep(Duration::from_millis(dice.u64(50..1_500))).await;
        match dice.u8(0..10) {
            0..3 => {
                engine.network_changed();
                count.networks += 1;
            }
            3 => {
                disk.write(Err("line 1: a soak's own error".into()));
                assert!(!restart(engine).await, "a broken config is not taken");
                disk.write(Ok(config.clone()));
                count.refused += 1;
            }
            4..7 => {
                assert!(restart(engine).await);
                count.restarts += 1;
            }
            _ => {
                let mut other = config.clone();
                other.workers = dice.usize(1..4);
                other.pool.size = dice.usize(8..65);
                other.pool.idle = Duration::from_millis(dice.u64(20..60_000));
                other.connect.parallel = dice.usize(1..9);
                other.client.buffer_idle = Duration::from_millis(dice.u64(20..5_000));
                disk.write(Ok(other));
                assert!(restart(engine).await);
                count.restarts += 1;
            }
        }
    }
    disk.write(Ok(config.clone()));
    count
}
