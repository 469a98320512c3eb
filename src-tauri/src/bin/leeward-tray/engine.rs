//! The engine's life within the tray: config, lock, log, start, record; and the end in the reverse order.

use crate::Failure;
use leeward::{
    config::{Flags, Paths, Settings, environment, panel_folder},
    health::unix_ms,
    instance::{Client, Lock, LockError, Record, remove_record, write_record},
    logging,
    supervisor::{Engine, Host, StartError},
};
use std::{sync::Arc, time::Duration};

/// Exit codes, as in the README's table.
pub(crate) const USAGE: u8 = 64;
pub(crate) const UNAVAILABLE: u8 = 69;
const CANNOT_WRITE: u8 = 73;
const TRY_AGAIN: u8 = 75;
const BAD_CONFIG: u8 = 78;

/// A running engine and what belongs to it. Ends by `stop`.
#[derive(Debug)]
pub(crate) struct Running {
    /// The engine itself.
    pub(crate) engine: Engine,
    /// Its own paths below `/_leeward/v1`, for what the panel asks.
    pub(crate) client: Client,
    /// Where its files are.
    pub(crate) paths: Paths,
    _lock: Lock,
    _log: logging::Guard,
}

/// Starts the engine, unless there is no desktop to show it on or another Leeward serves already.
pub(crate) fn start(flags: Flags, on_a_terminal: bool) -> Result<Running, Failure> {
    desktop()?;
    let settings = Arc::new(Settings::new(flags));
    let config = settings.load().map_err(|why| Failure::new(BAD_CONFIG, why))?;
    let paths = config.paths.clone();
    let lock = Lock::acquire(&paths).map_err(|why| match why {
        LockError::Held(_) => Failure::new(TRY_AGAIN, why),
        LockError::Unwritable { .. } => Failure::new(CANNOT_WRITE, why),
    })?;
    let log = logging::init(&config.log, Some(&paths.log_file()), on_a_terminal).map_err(|why| match why {
        logging::Error::Filter { .. } => Failure::new(BAD_CONFIG, why),
        why => Failure::new(CANNOT_WRITE, why),
    })?;
    let filter = log.filter();
    let host =
        Host::of(settings).refiltering(move |wanted| filter.set(wanted).map_err(|why| why.to_string())).showing(panel_folder());
    let client_token = config.client_token.clone();
    let engine = Engine::start(config, host);
    let engine = engine.map_err(|why| match why {
        StartError::PortTaken { .. } => Failure::new(TRY_AGAIN, why),
        why => Failure::new(UNAVAILABLE, why),
    })?;
    let record = Record {
        pid: std::process::id(),
        address: engine.address(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_unix_ms: unix_ms(),
    };
    if let Err(why) = write_record(&paths, &record) {
        return Err(Failure::new(CANNOT_WRITE, format!("cannot write {}: {why}", paths.instance_file().display())));
    }
    let client =
        Client::at(engine.address(), &paths).map_err(|why| Failure::new(UNAVAILABLE, why))?.with_client_token(client_token);
    Ok(Running { engine, client, paths, _lock: lock, _log: log })
}

impl Running {
    /// Nobody finds it any more and the lock is free. Requests in flight have had their time.
    pub(crate) fn stop(self) {
        remove_record(&self.paths);
        self.engine.stop(Duration::ZERO);
    }
}

/// GTK ends the process when it finds no display; a sentence is kinder.
fn desktop() -> Result<(), Failure> {
    let set = |name| environment(name).is_some_and(|value| !value.is_empty());
    if cfg!(target_os = "linux") && !set("DISPLAY") && !set("WAYLAND_DISPLAY") {
        let sentence = "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set); run `leeward serve` instead";
        return Err(Failure::new(UNAVAILABLE, sentence));
    }
    Ok(())
}
