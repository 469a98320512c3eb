//! Looks at the engine and keeps what the desktop shows true: icon, menu, the panel's status, notifications. Sleeps while
//! nothing changes.

use crate::{
    paint::Painting,
    state::{PANEL, Wanted},
};
use leeward::{
    config::Settings,
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
    time::{Instant, sleep, sleep_until, timeout},
};

/// The icon says "retried" for this long after a request was rescued.
const LATELY: Duration = Duration::from_secs(60);
/// Nothing is repainted more often, however much happens.
const PACE: Duration = Duration::from_secs(1);
/// How often requests that finish are counted while Leeward ends.
const ENDING: Duration = Duration::from_millis(200);

/// Where it is looked at, and how.
pub(crate) struct Painter {
    pub(crate) picture: watch::Receiver<Status>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) wants: watch::Receiver<Wanted>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) agents: Vec<(String, String)>,
    pub(crate) recent: Recent,
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
            agents: self.agents.clone(),
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
