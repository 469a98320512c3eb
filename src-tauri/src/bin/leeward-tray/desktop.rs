//! Tauri's life cycle: builds the program, keeps the painting true, acts on what is chosen, and ends in order.

use crate::{
    Failure, commands,
    engine::{Running, UNAVAILABLE},
    launch,
    paint::Painting,
    panel::{self, PANEL},
    signals,
};
use leeward::{
    config::Paths,
    control::{Wish, Wishes},
    health::unix_ms,
    status::{Phase, Status, traffic::Traffic},
    tasks::Tasks,
    view::{
        Faults,
        menu::{Action, Around, tray},
    },
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tauri::{AppHandle, Emitter, Manager, RunEvent};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// How long requests in flight may finish when the user quits.
const DRAIN: Duration = Duration::from_secs(5);
/// The icon says "absorbing" for this long after a fault was absorbed.
const LATELY: Duration = Duration::from_secs(60);
/// Nothing is repainted more often, however much happens.
const PACE: Duration = Duration::from_secs(1);
/// How often requests that finish are counted while Leeward ends.
const ENDING: Duration = Duration::from_millis(200);

/// What the user has asked for and is under way; the menu shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    restarting: bool,
    quitting: bool,
}

/// Shows the tray until the user quits or the system asks; stops the engine then.
pub(crate) fn run(running: Running) -> Result<(), Failure> {
    let result = show(&running);
    running.stop();
    result
}

fn show(running: &Running) -> Result<(), Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(UNAVAILABLE, format!("the tray cannot be shown: {why}; run `leeward serve` instead"))
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("leeward-tray")
        .enable_all()
        .build()
        .map_err(|e| failed(&e))?;
    tauri::async_runtime::set(runtime.handle().clone());
    let tasks = {
        let _entered = runtime.enter();
        Tasks::new()
    };
    let picture = running.engine.status();
    let traffic = running.engine.traffic();
    let (wanted, wants) = watch::channel(Wanted::default());
    let builder = tauri::Builder::default()
        .manage(picture.clone())
        .manage(running.engine.wishes())
        .manage(traffic.clone())
        .manage(running.client.clone())
        .manage(running.paths.clone())
        .manage(tasks.clone())
        .manage(wanted)
        .invoke_handler(tauri::generate_handler![
            commands::status,
            commands::restart,
            commands::stats,
            commands::activity,
            commands::history,
            commands::config_get,
            commands::config_check,
            commands::config_set,
            commands::logs,
            launch::agents,
            launch::copy_environment,
            launch::folders,
            launch::launch,
        ]);
    // GTK and the indicator library report a missing display or file by panicking.
    let built = catch_unwind(AssertUnwindSafe(|| builder.build(context())));
    let app = match built {
        Ok(app) => app.map_err(|e| failed(&e))?,
        Err(_) => return Err(failed(&"the desktop could not be reached (the log says why)")),
    };
    let mut painter = Painter { picture, traffic, wants, agents: launch::installed(), absorbed: 0, absorbed_at: None };
    let first = painter.look();
    let painting = catch_unwind(AssertUnwindSafe(|| Painting::begin(app.handle(), first, chosen)));
    let painting = match painting {
        Ok(painting) => painting.map_err(|e| failed(&e))?,
        Err(_) => return Err(failed(&"the icon could not be made (the log says why)")),
    };
    tasks.spawn(painter.paint(app.handle().clone(), painting));
    let handle = app.handle().clone();
    tasks.spawn(async move {
        signals::asked_to_end().await;
        quit(&handle);
        // Asked again: whoever asks does not want to wait.
        signals::asked_to_end().await;
        handle.exit(0);
    });
    // `run_return` and not `run`: the engine is stopped after it, and the exit code is main's.
    app.run_return(|_, event| match event {
        RunEvent::Ready => tracing::info!("the tray is shown"),
        // Without a code the last window was closed; the tray stays.
        RunEvent::ExitRequested { api, code: None, .. } => api.prevent_exit(),
        _ => {}
    });
    tasks.abort_all();
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "the macro's own code, for a build that lacks its assets")]
fn context() -> tauri::Context {
    tauri::generate_context!()
}

/// A line of the menu was chosen, on the main thread.
fn chosen(app: &AppHandle, id: &str) {
    match Action::of(id) {
        None => tracing::warn!("the menu has no line called `{id}`"),
        Some(Action::Restart) => restart(app),
        Some(Action::Launch(agent)) => {
            let app = app.clone();
            app.clone().state::<Tasks>().spawn(async move {
                let (paths, tasks) = (app.state::<Paths>(), app.state::<Tasks>());
                if let Err(why) = launch::again(&agent, &paths, &tasks).await {
                    tracing::error!("{agent} cannot be launched: {}", why.message);
                    let shown = app.clone();
                    // The Launch page has what is needed to do better.
                    app.run_on_main_thread(move || open(&shown, "launch")).ok();
                }
            });
        }
        Some(Action::Panel(page)) => open(app, page),
        Some(Action::Quit) => quit(app),
        Some(Action::QuitNow) => app.exit(0),
    }
}

fn open(app: &AppHandle, page: &'static str) {
    if let Err(why) = panel::show(app, page) {
        tracing::error!("the panel cannot be opened: {why}");
    }
}

fn restart(app: &AppHandle) {
    let app = app.clone();
    app.clone().state::<Tasks>().spawn(async move {
        let wanted = app.state::<watch::Sender<Wanted>>();
        wanted.send_modify(|wanted| wanted.restarting = true);
        if let Err(why) = commands::ask_for_restart(&app.state::<Wishes>()).await {
            tracing::error!("restart: {}", why.message);
        }
        wanted.send_modify(|wanted| wanted.restarting = false);
    });
}

/// Requests in flight may finish; the menu says so, and offers not to wait.
fn quit(app: &AppHandle) {
    let first = app.state::<watch::Sender<Wanted>>().send_if_modified(|wanted| !std::mem::replace(&mut wanted.quitting, true));
    if !first {
        return;
    }
    let app = app.clone();
    app.clone().state::<Tasks>().spawn(async move {
        let mut picture = app.state::<watch::Receiver<Status>>().inner().clone();
        // Closed: the engine has ended already.
        if app.state::<Wishes>().send(Wish::Stop { drain: DRAIN }).await.is_ok() {
            picture.wait_for(|status| status.phase == Phase::Stopped).await.ok();
        }
        app.exit(0);
    });
}

/// Looks at the engine and keeps the painting true.
struct Painter {
    picture: watch::Receiver<Status>,
    traffic: Arc<Traffic>,
    wants: watch::Receiver<Wanted>,
    agents: Vec<(String, String)>,
    absorbed: u64,
    absorbed_at: Option<Instant>,
}

impl Painter {
    async fn paint(mut self, app: AppHandle, mut painting: Painting) {
        loop {
            let quitting = self.wants.borrow().quitting;
            // Everything that is shown changes with the status (at the latest when the engine has probed itself) or
            // with a wish. Only the end is short enough to count its requests.
            let ending = async { if quitting { tokio::time::sleep(ENDING).await } else { std::future::pending().await } };
            let told = tokio::select! {
                told = self.picture.changed() => told,
                told = self.wants.changed() => told,
                () = ending => Ok(()),
            };
            if told.is_err() {
                return;
            }
            let status = self.picture.borrow_and_update().clone();
            let next = self.look();
            let drawn = painting.show(&app, next).and_then(|()| app.emit_to(PANEL, "status", &status));
            if let Err(why) = drawn {
                tracing::warn!("the tray cannot be repainted: {why}");
            }
            // A wish is shown at once, everything else in its turn.
            if !quitting && timeout(PACE, self.wants.changed()).await.is_ok() {
                self.wants.mark_changed();
            }
        }
    }

    fn look(&mut self) -> leeward::view::menu::Tray {
        let stats = self.traffic.snapshot();
        if stats.absorbed_total > self.absorbed {
            self.absorbed = stats.absorbed_total;
            self.absorbed_at = Some(Instant::now());
        }
        let wanted = *self.wants.borrow_and_update();
        let around = Around {
            faults: Faults {
                requests: stats.requests,
                absorbed: stats.absorbed_total,
                passed_on: stats.passed_on.values().sum(),
                absorbed_today: stats.today.absorbed,
            },
            absorbed_lately: self.absorbed_at.is_some_and(|at| at.elapsed() < LATELY),
            agents: self.agents.clone(),
            restarting: wanted.restarting,
            finishing: wanted.quitting.then(|| self.traffic.in_flight()),
        };
        tray(&self.picture.borrow(), &around, unix_ms())
    }
}
