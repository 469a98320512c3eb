//! `leeward serve`: takes the lock, starts the engine, says where it accepts, and ends it politely.

use crate::{
    args, block_on,
    exit::{Exit, Failure, Outcome},
    out::{Out, say},
};
use idle::Idle;
use leeward::{
    config::{self, Config, Flags},
    control::Command,
    doctor::Doctor,
    examination::Examiner,
    instance::{self, Lock, LockError},
    logging,
    service::{self, Notifier},
    status::Status,
    supervisor::{Engine, EngineOptions, Recorder, StartError},
    wrap::with_own,
};
use platform::Requests;
use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use tokio::sync::{oneshot, watch};

mod idle;
#[cfg(unix)]
#[path = "serve/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "serve/windows.rs"]
mod platform;
mod stand_by;

/// What is asked of a process that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// To end: Ctrl-C or SIGTERM; on Windows also when the console is closed or the system shuts down.
    End,
    /// To read the config again: SIGHUP; on Windows Ctrl-Break.
    Reload,
}

/// Runs `leeward serve`.
pub(crate) fn run(args: args::Serve, out: &mut Out) -> Outcome {
    if args.detached {
        instance::close_inherited();
    }
    // It starts no programs but, before it serves, the service manager's own.
    let _core_limit = instance::no_core_files();
    instance::hide_memory();
    if args.detached {
        instance::leave_terminal().map_err(|e| Failure::new(Exit::Unavailable, format!("cannot leave the terminal: {e}")))?;
    }
    let (listen, upstream, config_file) = (args.listen.clone(), args.upstream.clone(), args.config.clone());
    let flags = Flags { listen, upstream, config_file, ..Flags::default() };
    let (mut settings, mut config) = crate::config::settings(flags.clone(), args.state.clone())?;
    if !args.detached {
        crate::config::tell(&config);
    }
    let notifier = Notifier::of_environment();
    let (lock, unlocked) = match Lock::acquire(&config.paths) {
        Ok(lock) => (Some(lock), None),
        Err(LockError::Held(other)) if args.stand_by => {
            let Some(lock) = stand_by::wait(&config, other, &notifier)? else { return Ok(Exit::Ok as i32) };
            // It may have been changed meanwhile.
            (settings, config) = crate::config::settings(flags, args.state.clone())?;
            (Some(lock), None)
        }
        Err(why @ LockError::Unwritable { .. }) => (None, Some(why)),
        Err(why) => return Err(why.into()),
    };
    let stderr = match args.detached {
        true => logging::Stderr::Nothing,
        false if platform::is_journal() => logging::Stderr::Journal,
        false => logging::Stderr::Lines,
    };
    let log = logging::init(&config.log, Some(&config.paths.log_file()), stderr).map_err(|e| match e {
        logging::Error::Filter { .. } => Failure::new(Exit::ConfigInvalid, format!("log: {e}")),
        _ => Failure::new(Exit::CannotWrite, e),
    })?;
    let (filter, trouble) = (log.filter(), log.trouble());
    let passed = platform::passed_socket()?;
    let is_passed = passed.is_some();
    let (socket, former) = match passed {
        Some(passed) => (Some(passed), Vec::new()),
        None => held(&config)?,
    };
    if socket.is_none() && block_on(service::wake(&config))? {
        let sentence = format!("the service holds {} and serves there; `leeward service status` says more", config.listen);
        return Err(Failure::new(Exit::TryAgain, sentence));
    }
    // Where nothing can be written, nobody finds a Leeward that was started to be found. Where clients wait, they are served.
    if let Some(why) = unlocked.filter(|_| args.detached && socket.is_none()) {
        return Err(why.into());
    }
    let examiner = Examiner::new(Doctor::of(settings.clone(), with_own(|context| context.home.clone())));
    let host = EngineOptions::of(settings)
        .worded(leeward::view::headline)
        .looking_for_agents(leeward::coverage::of_engine)
        .refiltering(move |wanted| filter.set(wanted).map_err(|e| e.to_string()))
        .watching_log(move || trouble.sentence())
        .showing(config::panel_folder())
        .examined_by(examiner)
        .listening_on(socket, is_passed)
        .serving_also(former);
    let host = match lock {
        Some(lock) => host.holding(lock),
        None => host,
    };
    let engine = Engine::start(config.clone(), host).map_err(refused)?;
    if is_passed && engine.address() != config.listen {
        let (passed, wanted) = (engine.address(), config.listen);
        tracing::warn!("the service's port is {passed}, and the config says {wanted}; `leeward service install` changes it");
    }
    block_on(serve(engine, &config, &args, &notifier, out))?
}

/// The sockets that sessions of a Leeward before this one hold: the one to serve on, and those of other addresses. Their agents
/// know these addresses, so they are served wherever they are; an address that the command line asks for is bound beside them.
fn held(config: &Config) -> Outcome<(Option<TcpListener>, Vec<TcpListener>)> {
    let (paths, wanted) = (config.paths.clone(), config.listen);
    let asked = block_on(async { tokio::task::spawn_blocking(move || instance::held_sockets(&paths, wanted)).await })?;
    let mut held = asked.map_err(|e| Failure::new(Exit::Unavailable, format!("cannot ask who holds the port: {e}")))?;
    let is_other = |socket: &TcpListener| wanted.port() != 0 && socket.local_addr().is_ok_and(|at| at != wanted);
    let first = match held.first() {
        Some(first) if !(config.listen_pinned && is_other(first)) => Some(held.remove(0)),
        Some(_) | None => None,
    };
    Ok((first, held))
}

fn refused(e: StartError) -> Failure {
    let exit = match e {
        StartError::PortTaken { .. } => Exit::TryAgain,
        StartError::Token(_) => Exit::CannotWrite,
        StartError::Bind { .. } | StartError::Engine(_) => Exit::Unavailable,
    };
    Failure::new(exit, e)
}

async fn serve(engine: Engine, config: &Config, args: &args::Serve, notifier: &Notifier, out: &mut Out) -> Outcome {
    let mut requests =
        Requests::register().map_err(|e| Failure::new(Exit::Unavailable, format!("cannot receive signals: {e}")))?;
    let ended = tokio::select! {
        ended = attend(engine, config, args, notifier, &mut requests, out) => ended,
        never = stand_by::beats(notifier) => match never {},
    };
    // Who asks once more while the process ends does not change how.
    requests.outlive();
    ended
}

/// Serves until it is asked to end, and does what else is asked.
async fn attend(
    engine: Engine,
    config: &Config,
    args: &args::Serve,
    notifier: &Notifier,
    requests: &mut Requests,
    out: &mut Out,
) -> Outcome {
    let mut status = engine.status();
    let mut address = engine.address();
    // Before anybody can find this instance and ask it to stay.
    let mut idle = args.exit_when_idle.map(|limit| Idle::new(limit, &engine, config.paths.clone()));
    let mut recorder = Recorder::new(config.paths.clone(), engine.health(), address);
    recorder.write(address);
    notifier.ready(&format!("accepting on {}", instance::base_url(address)));
    // That nobody reads the line does not keep anybody from being served.
    out.line(format!("leeward is accepting on {}", instance::base_url(address))).ok();
    if !args.detached && address.port() != config.listen.port() && config.listen.port() != 0 {
        say(format!("{} is taken, so this is the next free port; programs started by `leeward wrap` find it", config.listen));
    }
    let drain = loop {
        tokio::select! {
            request = requests.next() => match request {
                Request::End => break config.drain,
                Request::Reload if args.detached => {}
                Request::Reload => reload(&engine).await,
            },
            changed = status.changed() => {
                if changed.is_err() {
                    recorder.remove();
                    return ended(&status.borrow());
                }
                let now = bound(&status).unwrap_or(address);
                if now != address {
                    address = now;
                    recorder.write(address);
                    notifier.ready(&format!("accepting on {}", instance::base_url(address)));
                    if !args.detached {
                        say(format!("accepting on {} now", instance::base_url(address)));
                    }
                }
            }
            () = recorder.due() => recorder.write(address),
            () = Idle::reached(idle.as_mut()) => {
                // Without a record nobody finds us any more; somebody who did a moment before keeps us.
                recorder.remove();
                if idle.as_mut().is_some_and(Idle::look) {
                    recorder.write(address);
                    continue;
                }
                tracing::info!("nobody has used this Leeward for {:?}; it ends", args.exit_when_idle.unwrap_or_default());
                break Duration::ZERO;
            }
        }
    };
    notifier.stopping();
    tracing::info!("ending: requests in flight may finish within {drain:?}");
    // From here on somebody else may serve: the engine closes the socket and lets go of the lock first thing.
    recorder.remove();
    end(engine, drain, requests).await;
    ended(&status.borrow())
}

/// How a process ends whose engine has. Another one may serve at once, so whoever needs one tries again.
fn ended(status: &Status) -> Outcome {
    match status.failure() {
        None => Ok(Exit::Ok as i32), // told to end or to hand over, and has
        Some(why) => Err(Failure::new(Exit::TryAgain, why)),
    }
}

/// Ends the engine; a second request to end does not wait for it.
async fn end(engine: Engine, drain: Duration, requests: &mut Requests) {
    let (done, ended) = oneshot::channel();
    let stopper = std::thread::Builder::new().name("leeward-end".into()).spawn(move || {
        engine.stop(drain);
        done.send(()).ok();
    });
    if let Err(e) = stopper {
        // Without a thread the engine has been dropped, and so stopped without a drain.
        tracing::error!("no thread to end the engine politely: {e}");
        return;
    }
    let again = async { while requests.next().await != Request::End {} };
    tokio::select! {
        _ = ended => {}
        () = again => tracing::info!("a second signal: ending at once"),
    }
}

async fn reload(engine: &Engine) {
    let (reply, answer) = oneshot::channel();
    if engine.commands().send(Command::Restart { reply }).await.is_err() {
        return;
    }
    match answer.await {
        Ok(Ok(done)) => match done.config_error {
            Some(e) => tracing::warn!("generation {} accepts; the previous config stays in force: {e}", done.generation),
            None => tracing::info!("generation {} accepts, with the config read again", done.generation),
        },
        Ok(Err(e)) => tracing::error!("not restarted: {e}"),
        Err(_) => tracing::error!("not restarted: the engine is ending"),
    }
}

/// The address in the picture, once there is one.
fn bound(status: &watch::Receiver<Status>) -> Option<SocketAddr> {
    status.borrow().listener.address.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use leeward::supervisor::TestHooks;
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    };

    fn args() -> args::Serve {
        args::Serve {
            listen: None,
            upstream: None,
            config: None,
            exit_when_idle: None,
            stand_by: false,
            detached: true,
            state: None,
        }
    }

    /// An engine on a free port whose supervisor panics on request.
    fn fragile(config: &Config) -> (Engine, Arc<AtomicBool>) {
        let (panics, again) = (Arc::new(AtomicBool::new(false)), config.clone());
        let told = panics.clone();
        let each_turn: Arc<dyn Fn() + Send + Sync> = Arc::new(move || assert!(!told.load(SeqCst), "scripted"));
        let network: leeward::supervisor::NetworkSource = Arc::new(|_| Box::pin(std::future::ready(())));
        let hooks = TestHooks { network: Some(network), each_turn: Some(each_turn), ..TestHooks::default() };
        (Engine::start_with(config.clone(), Box::new(move || Ok(again.clone())), hooks).unwrap(), panics)
    }

    fn config(home: &std::path::Path) -> Config {
        Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), listen_pinned: true, ..Config::under(home).unwrap() }
    }

    #[tokio::test]
    async fn a_supervisor_that_fails_ends_the_process_with_a_sentence() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path());
        let (engine, panics) = fragile(&config);
        panics.store(true, SeqCst);
        let notifier = Notifier::of_environment();
        let failure = serve(engine, &config, &args(), &notifier, &mut Out::stdout()).await.unwrap_err();
        assert_eq!(failure.exit, Exit::TryAgain);
        assert!(failure.message.contains("start Leeward again"), "{}", failure.message);
        assert_eq!(instance::read_record(&config.paths), None, "nobody is sent to an engine that is gone");
    }

    #[tokio::test]
    async fn a_supervisor_that_stops_as_told_is_no_failure() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path());
        let (engine, _) = fragile(&config);
        engine.commands().send(Command::Stop { drain: Duration::ZERO }).await.unwrap();
        let notifier = Notifier::of_environment();
        assert_eq!(serve(engine, &config, &args(), &notifier, &mut Out::stdout()).await.unwrap(), Exit::Ok as i32);
    }
}
