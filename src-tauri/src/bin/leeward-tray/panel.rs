//! The panel's window: made when it is asked for and destroyed when it is closed, since a hidden one would cost as much
//! memory as a shown one.

use crate::{commands::Refusal, feed, here::Here, state::PANEL};
use leeward::{config::Paths, tasks::Tasks, telemetry::Traffic};
use std::{sync::Arc, time::Duration};
use tauri::{
    AppHandle, Manager, WebviewUrl, WebviewWindow, WebviewWindowBuilder, WindowEvent, Wry, plugin::TauriPlugin, window::Color,
};
use tauri_plugin_window_state::StateFlags;
use tokio_util::sync::CancellationToken;

/// The page's own colours (`--page` in ui/src/theme.css): what a window shows where nothing is drawn yet.
const LIGHT: Color = Color(0xf6, 0xf7, 0xf8, 0xff);
const DARK: Color = Color(0x0f, 0x16, 0x1b, 0xff);
/// A page that has drawn nothing by then is shown as it is, so that its user sees that it is broken.
const DRAWS_WITHIN: Duration = Duration::from_secs(3);

/// Remembers where the window was and how large, as long as that lies on a screen that is there.
pub(crate) fn place(paths: &Paths) -> TauriPlugin<Wry> {
    // The plugin joins it to a folder of its own, and an absolute path stays what it is.
    let file = paths.state_dir.join("window.json");
    let what = StateFlags::POSITION | StateFlags::SIZE | StateFlags::MAXIMIZED;
    tauri_plugin_window_state::Builder::new().with_state_flags(what).with_filename(file.to_string_lossy()).build()
}

/// Removes the folder that the plugin makes for files of its own, since none of them lies there.
pub(crate) fn clear(app: &AppHandle) {
    if let Ok(folder) = app.path().app_config_dir() {
        // Only an empty one can be removed so.
        std::fs::remove_dir(folder).ok();
    }
}

/// Shows the panel on one of its pages, in front of other windows. For the main thread.
pub(crate) fn show(app: &AppHandle, page: &'static str) -> tauri::Result<()> {
    if let Some(window) = app.get_webview_window(PANEL) {
        window.unminimize()?;
        window.show()?;
        // The page follows its address.
        window.eval(format!("location.hash = '#/{page}'"))?;
        return window.set_focus();
    }
    let window = WebviewWindowBuilder::new(app, PANEL, WebviewUrl::App(format!("index.html#/{page}").into()));
    // WebKit keeps files, too, and they belong with the others; macOS has its own place for them.
    let window = window.data_directory(app.state::<Paths>().state_dir.join("panel"));
    let window = window.title("Leeward").inner_size(960.0, 700.0).min_inner_size(380.0, 420.0);
    // An empty window is white on most desktops, so it comes with its content.
    let window = window.visible(false).build()?;
    let closed = CancellationToken::new();
    let closing = closed.clone();
    window.on_window_event(move |event| {
        if matches!(event, WindowEvent::Destroyed) {
            tracing::debug!("the panel is closed");
            closing.cancel();
        }
    });
    let (here, traffic) = (app.state::<Arc<Here>>().inner().clone(), app.state::<Arc<Traffic>>().inner().clone());
    app.state::<Tasks>().spawn(late(app.clone(), closed.clone()));
    app.state::<Tasks>().spawn(feed::tell(app.clone(), here, traffic, closed));
    Ok(())
}

/// Shows a window whose page does not say that it has drawn itself.
async fn late(app: AppHandle, closed: CancellationToken) {
    if tokio::time::timeout(DRAWS_WITHIN, closed.cancelled()).await.is_ok() {
        return;
    }
    let shown = app.clone();
    app.run_on_main_thread(move || {
        if let Some(window) = shown.get_webview_window(PANEL).filter(|window| window.is_visible().is_ok_and(|shown| !shown)) {
            tracing::warn!("the panel has drawn nothing within {DRAWS_WITHIN:?}");
            reveal(&window).inspect_err(|why| tracing::error!("the panel cannot be shown: {why}")).ok();
        }
    })
    .ok();
}

fn reveal(window: &WebviewWindow) -> tauri::Result<()> {
    window.show()?;
    window.set_focus()
}

/// The page has drawn itself, `first` or in other colours: the window takes them, and is shown the first time.
#[tauri::command]
pub(crate) fn panel_drawn(window: WebviewWindow, dark: bool, first: bool) -> Result<(), Refusal> {
    let coloured = window.set_background_color(Some(if dark { DARK } else { LIGHT }));
    let shown = if first { reveal(&window) } else { Ok(()) };
    coloured.and(shown).map_err(|why| Refusal::new("no-window", format!("The window cannot be shown: {why}.")))
}
