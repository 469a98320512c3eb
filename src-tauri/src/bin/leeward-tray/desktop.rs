//! Tauri's life cycle: builds the program, keeps the painting true, acts on what is chosen, and ends in order.

use crate::{
    autostart,
    commands::{self, Refusal},
    doctor,
    engine::Running,
    failure::{Failure, UNAVAILABLE},
    first_start, how_to, launch,
    paint::Painting,
    painter::{self, Launchable, Painter, Recent},
    panel, signals,
    state::{Calls, PANEL, Wants},
    tray_host,
};
use leeward::{
    config::Paths,
    control::{Command, Commands},
    instance::CoreLimit,
    status::{Phase, Status},
    supervisor::Recorder,
    tasks::Tasks,
    view::{menu::Action, notice::Notice},
};
use serde::Serialize;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tauri::{AppHandle, Manager, RunEvent, State};
use tokio::sync::watch;

/// How long requests in flight may finish when the user quits.
const DRAIN: Duration = Duration::from_secs(5);

/// Shows the tray until the user quits or the system asks; stops the engine then. `hidden`: the session starts it.
pub(crate) fn run(mut running: Running, core_limit: CoreLimit, hidden: bool) -> Result<(), Failure> {
    let (calls, recorder) = (running.calls.take(), running.recorder.take());
    let result = show(&running, calls, recorder, core_limit, hidden);
    running.stop();
    result
}

fn show(
    running: &Running,
    calls: Option<Calls>,
    recorder: Option<Recorder>,
    core_limit: CoreLimit,
    hidden: bool,
) -> Result<(), Failure> {
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
    let (wanted, wants) = Wants::new();
    let builder = tauri::Builder::default()
        .plugin(autostart::plugin())
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_notification::init())
        .plugin(panel::place(&running.paths))
        .manage(picture.clone())
        .manage(running.engine.commands())
        .manage(traffic.clone())
        .manage(running.here.clone())
        .manage(running.paths.clone())
        .manage(tasks.clone())
        .manage(core_limit)
        .manage(wanted)
        .manage(Clipboard::default())
        .manage(TrayHost(watch::Sender::new(None)))
        .manage(doctor::Examining::default())
        .invoke_handler(tauri::generate_handler![
            commands::status,
            commands::restart,
            commands::stats,
            commands::activity,
            commands::coverage,
            commands::history,
            commands::config_get,
            commands::config_check,
            commands::config_set,
            commands::logs,
            commands::test_connection,
            doctor::doctor_begin,
            doctor::doctor_next,
            doctor::doctor_stop,
            doctor::doctor_bundle,
            doctor::doctor_save,
            autostart::autostart_get,
            autostart::autostart_set,
            how_to::how_to,
            launch::agents,
            launch::copy_environment,
            launch::folders,
            launch::launch,
            launch::pick_folder,
            panel::panel_drawn,
            surroundings,
            quit_leeward,
        ]);
    // GTK and the indicator library report a missing display or file by panicking.
    let built = catch_unwind(AssertUnwindSafe(|| builder.build(context())));
    let app = match built {
        Ok(app) => app.map_err(|e| failed(&e))?,
        Err(_) => return Err(failed(&"the desktop could not be reached (the log says why)")),
    };
    match autostart::get(app.handle()) {
        Ok(now) => app.state::<Wants>().autostart(now.enabled),
        Err(why) => tracing::warn!("{}", why.message),
    }
    let settings = running.settings.clone();
    let mut ended = picture.clone();
    let (paths, agents) = (running.paths.clone(), Launchable::find(&running.paths));
    let mut painter = Painter { picture, traffic, wants, settings, paths, agents, recent: Recent::default() };
    let first = painter.look();
    let painting = catch_unwind(AssertUnwindSafe(|| Painting::begin(app.handle(), first, chosen)));
    let painting = match painting {
        Ok(painting) => painting.map_err(|e| failed(&e))?,
        Err(_) => return Err(failed(&"the icon could not be made (the log says why)")),
    };
    if let Some(recorder) = recorder {
        tasks.spawn(recorder.follow(running.engine.status()));
    }
    tasks.spawn(painter.paint(app.handle().clone(), painting));
    tasks.spawn(look_for_host(app.handle().clone(), hidden));
    if let Some(calls) = calls {
        tasks.spawn(answer(calls, app.handle().clone()));
    }
    let handle = app.handle().clone();
    tasks.spawn(async move {
        signals::asked_to_end().await;
        quit(&handle);
        // Asked again: whoever asks does not want to wait.
        signals::asked_to_end().await;
        handle.exit(0);
    });
    let handle = app.handle().clone();
    tasks.spawn(async move {
        // `leeward stop`: a tray whose engine has ended protects nobody.
        let on_purpose = |status: &Status| matches!(status.phase, Phase::Draining | Phase::Stopped) && status.failure().is_none();
        if ended.wait_for(on_purpose).await.is_ok() {
            quit(&handle);
        }
    });
    // `run_return` and not `run`: the engine is stopped after it, and the exit code is main's.
    app.run_return(move |app, event| match event {
        RunEvent::Ready => {
            tracing::info!("the tray is shown");
            if !hidden && first_start::is_first(&app.state::<Paths>()) {
                open(app, "start");
            }
        }
        // Without a code the last window was closed; the tray stays.
        RunEvent::ExitRequested { api, code: None, .. } => api.prevent_exit(),
        RunEvent::Exit => panel::clear(app),
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
                let (paths, tasks, core_limit) = (app.state::<Paths>(), app.state::<Tasks>(), app.state::<CoreLimit>());
                if let Err(why) = launch::again(&agent, &paths, &tasks, &core_limit).await {
                    tracing::error!("{agent} cannot be launched: {}", why.message);
                    let shown = app.clone();
                    // The Launch page has what is needed to do better.
                    app.run_on_main_thread(move || open(&shown, "launch")).ok();
                }
            });
        }
        Some(Action::CopyEnvironment) => copy_environment(app),
        Some(Action::Panel(page)) => open(app, page),
        Some(Action::Autostart) => switch_autostart(app),
        Some(Action::Quit) => quit(app),
        Some(Action::QuitNow) => app.exit(0),
    }
}

/// Other starts of this program see its window.
async fn answer(mut calls: Calls, app: AppHandle) {
    while calls.next().await.is_some() {
        let shown = app.clone();
        app.run_on_main_thread(move || open(&shown, "status")).ok();
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
        let wants = app.state::<Wants>();
        wants.restarting(true);
        if let Err(why) = commands::ask_for_restart(&app.state::<Commands>()).await {
            tracing::error!("restart: {}", why.message);
        }
        wants.restarting(false);
    });
}

/// Keeps what was copied: where X11 or Wayland ask its owner for it, the owner must live.
#[derive(Default)]
struct Clipboard(Mutex<Option<arboard::Clipboard>>);

/// For the shell that the user's terminals run.
fn copy_environment(app: &AppHandle) {
    let copied = launch::copy_environment(launch::users_shell().into()).map_err(|why| why.message).and_then(|line| {
        let clipboard = app.state::<Clipboard>();
        let mut kept = clipboard.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut clipboard = match kept.take() {
            Some(clipboard) => clipboard,
            None => arboard::Clipboard::new().map_err(|e| e.to_string())?,
        };
        clipboard.set_text(line).map_err(|e| e.to_string())?;
        *kept = Some(clipboard);
        Ok(())
    });
    if let Err(why) = copied {
        tracing::error!("the environment cannot be copied: {why}");
        // The Launch page shows the line, to be copied from there.
        open(app, "launch");
    }
}

fn switch_autostart(app: &AppHandle) {
    let wants = app.state::<Wants>();
    match autostart::get(app).and_then(|now| autostart::set(app, !now.enabled)) {
        Ok(now) => wants.autostart(now.enabled),
        Err(why) => {
            tracing::error!("{}", why.message);
            wants.as_it_was();
            // The Settings page says what is wrong.
            open(app, "settings");
        }
    }
}

/// Requests in flight may finish; the menu says so, and offers not to wait.
fn quit(app: &AppHandle) {
    if !app.state::<Wants>().quitting() {
        return;
    }
    let app = app.clone();
    app.clone().state::<Tasks>().spawn(async move {
        let mut picture = app.state::<watch::Receiver<Status>>().inner().clone();
        // Closed: the engine has ended already.
        if app.state::<Commands>().send(Command::Stop { drain: DRAIN }).await.is_ok() {
            picture.wait_for(|status| status.phase == Phase::Stopped).await.ok();
        }
        app.exit(0);
    });
}

/// Whether the desktop shows tray icons; unknown at first.
struct TrayHost(watch::Sender<Option<bool>>);

/// Where nobody shows the icon, the panel says so instead of a program that seems to have vanished.
async fn look_for_host(app: AppHandle, hidden: bool) {
    let there = tray_host::comes(hidden).await;
    app.state::<TrayHost>().0.send_replace(Some(there));
    if there {
        return;
    }
    tracing::warn!("this desktop shows no tray icons; start leeward-tray again to see its panel");
    if hidden {
        let text = "This desktop shows no tray icons. Start Leeward again to see its panel.".into();
        painter::show(&app, &Notice { title: "Leeward runs", text });
    } else {
        let shown = app.clone();
        // The window of the first start stays on its page.
        app.run_on_main_thread(move || {
            if shown.get_webview_window(PANEL).is_none() {
                open(&shown, "status");
            }
        })
        .ok();
    }
}

/// What the panel should know of the desktop around it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Surroundings {
    /// False where no icon is shown, so that the panel is all there is.
    tray_icon: bool,
}

/// See `Surroundings`. Waits until it is known.
#[tauri::command]
async fn surroundings(host: State<'_, TrayHost>) -> Result<Surroundings, Refusal> {
    let mut known = host.0.subscribe();
    let there = known.wait_for(Option::is_some).await.ok().and_then(|known| *known);
    Ok(Surroundings { tray_icon: there.unwrap_or(true) })
}

/// As "Quit" in the menu, for a desktop that shows no menu.
#[tauri::command]
fn quit_leeward(app: AppHandle) {
    quit(&app);
}
