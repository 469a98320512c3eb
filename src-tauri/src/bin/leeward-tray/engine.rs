//! The engine's life within the tray: config, lock, log, start, record; and the end in the reverse order. Where another
//! Leeward serves already, its window is brought up or its place is taken.

use crate::{
    failure::{BAD_CONFIG, CANNOT_WRITE, Failure, TRY_AGAIN, UNAVAILABLE},
    here::Here,
    state::Calls,
};
use leeward::{
    config::{Config, Flags, Paths, Settings, environment, panel_folder},
    doctor::Doctor,
    examination::Examiner,
    instance::{
        ClientError, Confirmation, Lock, LockError, Record, TakeOver, TakeOverError, held_sockets, remove_record, serves,
        take_over,
    },
    logging,
    service::wake,
    supervisor::{Engine, EngineOptions, Recorder, StartError},
    wrap::with_own,
};
use std::{
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long whoever has the lock may need until it answers where its record says.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(20);

/// A running engine and what belongs to it. Ends by `stop`.
#[derive(Debug)]
pub(crate) struct Running {
    /// The engine itself.
    pub(crate) engine: Engine,
    /// Its own paths below `/_leeward/v1`, for what the panel asks.
    pub(crate) here: Arc<Here>,
    /// Where its files are.
    pub(crate) paths: Paths,
    /// Where the config comes from.
    pub(crate) settings: Arc<Settings>,
    /// Keeps its record true.
    pub(crate) recorder: Option<Recorder>,
    /// Calls for the window from other starts.
    pub(crate) calls: Option<Calls>,
    _log: logging::Guard,
}

/// The place in which an engine can be started.
struct Place {
    lock: Lock,
    listener: Option<TcpListener>,
    /// Those that sessions hold.
    held: Vec<TcpListener>,
    /// Whom it was taken from.
    before: Option<(Record, Option<Confirmation>)>,
}

/// Starts the engine, unless there is no desktop to show it on. `None`: another tray serves here and shows its window.
pub(crate) fn start(flags: Flags, on_a_terminal: bool) -> Result<Option<Running>, Failure> {
    desktop()?;
    let pinned = flags.listen.is_some();
    let load = |flags| {
        let settings = Arc::new(Settings::new(flags));
        settings.load_to_start().map(|config| (settings, config)).map_err(|why| Failure::new(BAD_CONFIG, why))
    };
    let (mut settings, mut config) = load(flags.clone())?;
    let stand_in = leeward::instance::place(&config.paths);
    if stand_in.is_some() {
        (settings, config) = load(Flags { stand_in, ..flags })?;
    }
    let paths = config.paths.clone();
    let Some(place) = place(&config, pinned)? else { return Ok(None) };
    let log = logging::init(&config.log, Some(&paths.log_file()), on_a_terminal).map_err(|why| match why {
        logging::Error::Filter { .. } => Failure::new(BAD_CONFIG, why),
        why => Failure::new(CANNOT_WRITE, why),
    })?;
    let (filter, trouble) = (log.filter(), log.trouble());
    let (calls, call) = Calls::new();
    let examiner = Examiner::new(Doctor::of(settings.clone(), with_own(|context| context.home.clone())));
    let host = EngineOptions::of(settings.clone())
        .worded(leeward::view::headline)
        .looking_for_agents(leeward::coverage::of_engine)
        .refiltering(move |wanted| filter.set(wanted).map_err(|why| why.to_string()))
        .watching_log(move || trouble.sentence())
        .showing(panel_folder())
        .examined_by(examiner)
        .with_window(call)
        .on_any_port()
        .holding(place.lock)
        .serving_also(place.held);
    let host = match place.before {
        Some(_) => host.inheriting(place.listener),
        None => host.listening_on(place.listener, false),
    };
    let client_token = config.client_token.clone();
    let engine = Engine::start(config, host);
    let engine = engine.map_err(|why| match why {
        StartError::PortTaken { .. } => Failure::new(TRY_AGAIN, why),
        why => Failure::new(UNAVAILABLE, why),
    })?;
    let address = engine.address();
    let mut recorder = Recorder::new(paths.clone(), engine.health(), address);
    recorder.write(address);
    if let Some((before, confirmation)) = place.before {
        taken_over(&before, confirmation);
    }
    let here = Here::new(engine.status(), address, paths.clone(), client_token);
    let here = Arc::new(here.map_err(|why| Failure::new(UNAVAILABLE, why))?);
    Ok(Some(Running { engine, here, paths, settings, recorder: Some(recorder), calls: Some(calls), _log: log }))
}

/// The lock, and with it the socket of whoever had it. `pinned`: the command line names an address.
fn place(config: &Config, pinned: bool) -> Result<Option<Place>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| Failure::new(UNAVAILABLE, format!("no runtime to ask another Leeward with: {why}")))?;
    let until = Instant::now() + ANSWERS_WITHIN;
    let mut woken = false;
    loop {
        let held = match Lock::acquire(&config.paths) {
            // The service's manager may hold the port for one that has not started: that one hands it over.
            Ok(lock) if !woken && runtime.block_on(wake(config)) => {
                drop(lock);
                woken = true;
                while !serves(&config.paths) && Instant::now() < until {
                    std::thread::sleep(LOOK);
                }
                continue;
            }
            Ok(lock) => {
                // A Leeward that was killed has left its sockets with its sessions.
                let mut held = held_by_sessions(&runtime, config);
                let is_other = |socket: &TcpListener| socket.local_addr().is_ok_and(|at| at != config.listen);
                let first = held.first().is_some_and(|first| !(pinned && config.listen.port() != 0 && is_other(first)));
                let listener = first.then(|| held.remove(0));
                return Ok(Some(Place { lock, listener, held, before: None }));
            }
            Err(LockError::Held(record)) => record,
            Err(why @ LockError::Unwritable { .. }) => return Err(Failure::new(CANNOT_WRITE, why)),
        };
        let patient = Instant::now() < until;
        let refused = LockError::Held(held.clone());
        match held {
            Some(record) if pinned && config.listen.port() != 0 && config.listen != record.address => {
                let sentence = format!("{refused}; without --listen this one takes its place there");
                return Err(Failure::new(TRY_AGAIN, sentence));
            }
            Some(record) => {
                match runtime.block_on(take_over(&config.paths, &record, config.client_token.clone(), config.drain)) {
                    Ok(TakeOver::Shown) => return Ok(None),
                    Ok(TakeOver::Taken(taken)) => {
                        let before = Some((record, taken.confirmation));
                        let at = taken.listener.local_addr().ok();
                        let mut held = held_by_sessions(&runtime, config);
                        held.retain(|socket| socket.local_addr().ok() != at);
                        return Ok(Some(Place { lock: taken.lock, listener: Some(taken.listener), held, before }));
                    }
                    // It has just started and not written its record, or is about to be gone.
                    Err(TakeOverError::Client(ClientError::NotRunning(_) | ClientError::Stranger { .. })) if patient => {}
                    Err(why) => return Err(Failure::new(TRY_AGAIN, format!("{refused} and does not give way: {why}"))),
                }
            }
            None if patient => {}
            None => return Err(Failure::new(TRY_AGAIN, refused)),
        }
        std::thread::sleep(LOOK);
    }
}

/// One socket of each address that a session holds.
fn held_by_sessions(runtime: &tokio::runtime::Runtime, config: &Config) -> Vec<TcpListener> {
    let (paths, wanted) = (config.paths.clone(), config.listen);
    let asked = runtime.block_on(async { tokio::task::spawn_blocking(move || held_sockets(&paths, wanted)).await });
    asked.unwrap_or_default()
}

/// Nobody finds the other one any more: it may stop accepting.
fn taken_over(before: &Record, confirmation: Option<Confirmation>) {
    let how = match confirmation.map(Confirmation::confirm) {
        Some(Ok(())) => "; no connection was refused",
        Some(Err(_)) => "; it has ended by itself",
        None => "; for some milliseconds connections were refused, as it could not pass its socket to this process",
    };
    let (address, pid) = (before.address, before.pid);
    tracing::info!("took {address} over from the Leeward that served there (pid {pid}){how}");
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
