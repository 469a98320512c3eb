//! Looks at the engine and keeps what the desktop shows true: icon, menu, the panel's status, notifications. Sleeps while
//! nothing changes.

use crate::{
    launch,
    paint::Painting,
    state::{PANEL, Wanted},
};
use leeward::{
    config::{Paths, Settings},
    health::unix_ms,
    status::Status,
    telemetry::Traffic,
    view::{
        headline,
        menu::{Around, Tray, tray},
        notice::{Notice, Notices},
    },
};
use std::{sync::Arc, time::Duration};
use tauri::{AppHandle, Emitter};
use tauri_plugin_notification::NotificationExt;
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep, sleep_until, timeout},
};

/// The icon says "retried" for this long after a request was rescued.
const LATELY: Duration = Duration::from_secs(60);
/// Nothing is repainted more often, however much happens.
const PACE: Duration = Duration::from_secs(1);
/// Agents are looked for anew when the last look is this old; the engine's probe of itself wakes the painter more often.
const SCAN: Duration = Duration::from_secs(10);
/// How often requests that finish are counted while Leeward ends.
const ENDING: Duration = Duration::from_millis(200);

/// Where it is looked at, and how.
pub(crate) struct Painter {
    pub(crate) picture: watch::Receiver<Status>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) wants: watch::Receiver<Wanted>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) paths: Paths,
    pub(crate) agents: Launchable,
    pub(crate) recent: Recent,
}

/// What can be launched from the menu, as it was found last.
#[derive(Debug)]
pub(crate) struct Launchable {
    /// Names and titles.
    agents: Vec<(String, String)>,
    /// Where they are launched.
    folder: Option<String>,
    at: Instant,
}

impl Launchable {
    /// Looks at the disk.
    pub(crate) fn find(paths: &Paths) -> Self {
        Self { agents: launch::installed(), folder: launch::folder_in_words(paths), at: Instant::now() }
    }
}

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    rescued: u64,
    retried_at: Option<Instant>,
    notices: Notices,
    /// When a notice may be due without anything having changed.
    look_again: Option<Instant>,
}

impl Painter {
    /// Until the engine is gone.
    pub(crate) async fn paint(mut self, app: AppHandle, mut painting: Painting) {
        loop {
            let quitting = self.wants.borrow().quitting;
            // Everything that is shown changes with the status (at the latest when the engine has probed itself) or
            // with a command. Only the end is short enough to count its requests.
            let ending = async { if quitting { sleep(ENDING).await } else { std::future::pending().await } };
            let due = self.recent.look_again;
            let again = async { if let Some(at) = due { sleep_until(at).await } else { std::future::pending().await } };
            let told = tokio::select! {
                told = self.picture.changed() => told,
                told = self.wants.changed() => told,
                () = again => Ok(()),
                () = ending => Ok(()),
            };
            if told.is_err() {
                return;
            }
            // No desktop says reliably that its menu is about to be opened, so it is never much older than the disk.
            if self.agents.at.elapsed() >= SCAN {
                let paths = self.paths.clone();
                if let Ok(found) = spawn_blocking(move || Launchable::find(&paths)).await {
                    self.agents = found;
                }
            }
            let mut status = self.picture.borrow_and_update().clone();
            status.headline = headline(&status, unix_ms());
            let next = self.look();
            let drawn = painting.show(&app, next).and_then(|()| painting.settle());
            if let Err(why) = drawn.and_then(|()| app.emit_to(PANEL, "status", &status)) {
                tracing::warn!("the tray cannot be repainted: {why}");
            }
            self.notify(&app, &status);
            // A command is shown at once, everything else in its turn.
            if !quitting && timeout(PACE, self.wants.changed()).await.is_ok() {
                self.wants.mark_changed();
            }
        }
    }

    /// The tray as it should be.
    pub(crate) fn look(&mut self) -> Tray {
        let rescued = self.traffic.rescued();
        if rescued > self.recent.rescued {
            self.recent.rescued = rescued;
            self.recent.retried_at = Some(Instant::now());
        }
        let wanted = *self.wants.borrow_and_update();
        let around = Around {
            retried_lately: self.recent.retried_at.is_some_and(|at| at.elapsed() < LATELY),
            agents: self.agents.agents.clone(),
            folder: self.agents.folder.clone(),
            autostart: wanted.autostart,
            restarting: wanted.restarting,
            finishing: wanted.quitting.then(|| self.traffic.in_flight()),
        };
        tray(&self.picture.borrow(), &around, unix_ms())
    }

    fn notify(&mut self, app: &AppHandle, status: &Status) {
        let now = unix_ms();
        let (notice, due) = self.recent.notices.look(status, now);
        self.recent.look_again = due.map(|at| Instant::now() + Duration::from_millis(at.saturating_sub(now)));
        // Read when it matters, so that the switch is in force without a restart.
        let Some(notice) = notice else { return };
        match self.settings.load() {
            Ok(config) if !config.notifications => tracing::info!("not notified, as the config says: {}", notice.title),
            _ => show(app, &notice),
        }
    }
}

/// Shows a notification, where somebody shows them.
pub(crate) fn show(app: &AppHandle, Notice { title, text }: &Notice) {
    tracing::info!("notified: {title}. {text}");
    if let Err(why) = app.notification().builder().title(*title).body(text).show() {
        tracing::warn!("the notification cannot be shown: {why}");
    }
}
