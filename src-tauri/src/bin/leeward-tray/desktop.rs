//! Tauri's life cycle: the icon, its menu, the panel on demand. The window is destroyed when it is closed; the engine goes on.

use crate::{
    Failure, commands,
    engine::{Running, UNAVAILABLE},
    menu::{self, Action, ITEMS},
    signals,
};
use leeward::{control::Wishes, status::Status, tasks::Tasks};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tauri::{
    App, AppHandle, Emitter, Manager, RunEvent, WebviewUrl, WebviewWindowBuilder, Wry,
    menu::{Menu, MenuItem, PredefinedMenuItem},
    tray::TrayIconBuilder,
};
use tokio::sync::watch;

/// The one window's name; the capability in tauri.conf.json is bound to it.
const PANEL: &str = "panel";

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
    let builder = tauri::Builder::default()
        .manage(picture.clone())
        .manage(running.engine.wishes())
        .manage(tasks.clone())
        .invoke_handler(tauri::generate_handler![commands::status, commands::restart]);
    // GTK and the indicator library report a missing display or file by panicking.
    let built = catch_unwind(AssertUnwindSafe(|| builder.build(context())));
    let app = match built {
        Ok(app) => app.map_err(|e| failed(&e))?,
        Err(_) => return Err(failed(&"the desktop could not be reached (the log says why)")),
    };
    let line = catch_unwind(AssertUnwindSafe(|| tray(&app, &picture.borrow())));
    let line = match line {
        Ok(line) => line.map_err(|e| failed(&e))?,
        Err(_) => return Err(failed(&"the icon could not be made (the log says why)")),
    };
    tasks.spawn(paint(app.handle().clone(), line, picture));
    let handle = app.handle().clone();
    tasks.spawn(async move {
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

fn tray(app: &App, status: &Status) -> tauri::Result<MenuItem<Wry>> {
    let line = MenuItem::with_id(app, Action::Status.id(), menu::line(status), false, None::<&str>)?;
    let menu = Menu::with_items(app, &[&line, &PredefinedMenuItem::separator(app)?])?;
    for (action, text) in ITEMS {
        menu.append(&MenuItem::with_id(app, action.id(), text, true, None::<&str>)?)?;
    }
    let mut tray = TrayIconBuilder::with_id("leeward").title("Leeward").menu(&menu).on_menu_event(|app, event| {
        if let Some(action) = Action::of(event.id().as_ref()) {
            act(app, action);
        }
    });
    if let Some(icon) = app.default_window_icon() {
        tray = tray.icon(icon.clone());
    }
    tray.build(app)?;
    Ok(line)
}

fn act(app: &AppHandle, action: Action) {
    match action {
        Action::Status => {}
        Action::Restart => {
            let wishes = app.state::<Wishes>().inner().clone();
            let restart = async move {
                if let Err(why) = commands::ask_for_restart(&wishes).await {
                    tracing::error!("restart: {why}");
                }
            };
            app.state::<Tasks>().spawn(restart);
        }
        Action::Panel => {
            if let Err(why) = panel(app) {
                tracing::error!("the panel cannot be opened: {why}");
            }
        }
        Action::Quit => app.exit(0),
    }
}

/// Made when it is asked for: a hidden window would cost as much memory as a shown one.
fn panel(app: &AppHandle) -> tauri::Result<()> {
    if let Some(window) = app.get_webview_window(PANEL) {
        window.unminimize()?;
        window.show()?;
        return window.set_focus();
    }
    let window = WebviewWindowBuilder::new(app, PANEL, WebviewUrl::App("index.html".into()));
    window.title("Leeward").inner_size(560.0, 420.0).build()?.set_focus()
}

/// Redraws the line and tells the panel whenever the picture changes.
async fn paint(app: AppHandle, line: MenuItem<Wry>, mut picture: watch::Receiver<Status>) {
    while picture.changed().await.is_ok() {
        let status = picture.borrow_and_update().clone();
        let drawn = line.set_text(menu::line(&status)).and_then(|()| app.emit("status", &status));
        if let Err(why) = drawn {
            tracing::warn!("the tray cannot be repainted: {why}");
        }
    }
}
