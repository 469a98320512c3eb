//! The panel's window: made when it is asked for and destroyed when it is closed, since a hidden one would cost as much
//! memory as a shown one.

use crate::{commands::Refusal, feed, here::Here, state::PANEL};
use leeward::{config::Paths, tasks::Tasks, telemetry::Traffic};
use std::sync::Arc;
use tauri::{
    AppHandle, Manager, Theme, WebviewUrl, WebviewWindow, WebviewWindowBuilder, WindowEvent, Wry, plugin::TauriPlugin,
    window::Color,
};
use tauri_plugin_window_state::StateFlags;
use tokio_util::sync::CancellationToken;

/// The page's own colours (`--page` in ui/src/theme.css): what a window shows where nothing is drawn yet.
const LIGHT: Color = Color(0xf6, 0xf7, 0xf8, 0xff);
const DARK: Color = Color(0x0f, 0x16, 0x1b, 0xff);
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
    // An empty window is white on most desktops. One that is hidden until it has drawn itself would lose its size on GTK.
    let window = window.background_color(LIGHT).build()?;
    if window.theme()? == Theme::Dark {
        window.set_background_color(Some(DARK))?;
    }
    let closed = CancellationToken::new();
    let closing = closed.clone();
    window.on_window_event(move |event| {
        if matches!(event, WindowEvent::Destroyed) {
            tracing::debug!("the panel is closed");
            closing.cancel();
        }
    });
    let (here, traffic) = (app.state::<Arc<Here>>().inner().clone(), app.state::<Arc<Traffic>>().inner().clone());
    app.state::<Tasks>().spawn(feed::tell(app.clone(), here, traffic, closed));
    Ok(())
}

/// The page has drawn itself, perhaps in other colours: the window takes them.
#[tauri::command]
pub(crate) fn panel_drawn(window: WebviewWindow, dark: bool) -> Result<(), Refusal> {
    window.set_background_color(Some(colour(dark))).map_err(|why| Refusal::new("no-window", format!("It has no colour: {why}.")))
}

fn colour(dark: bool) -> Color {
    if dark { DARK } else { LIGHT }
}
