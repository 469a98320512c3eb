//! What the tray's files share: what the user has asked for, calls for the window, the window's name. Acts on none of it.

use tokio::sync::{mpsc, watch};

/// The one window's name; the capability in tauri.conf.json is bound to it.
pub(crate) const PANEL: &str = "panel";

/// What the user has asked for and is under way, and what was switched; the menu shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) restarting: bool,
    pub(crate) quitting: bool,
    /// `None` where it cannot be read.
    pub(crate) autostart: Option<bool>,
}

/// Shows the painter what the user has asked for.
#[derive(Debug)]
pub(crate) struct Wants(watch::Sender<Wanted>);

impl Wants {
    /// And what the painting looks at.
    pub(crate) fn new() -> (Self, watch::Receiver<Wanted>) {
        let (wanted, wants) = watch::channel(Wanted::default());
        (Self(wanted), wants)
    }

    /// Start at login is on or off.
    pub(crate) fn autostart(&self, on: bool) {
        self.0.send_modify(|wanted| wanted.autostart = Some(on));
    }

    /// A restart is under way, or is over.
    pub(crate) fn restarting(&self, under_way: bool) {
        self.0.send_modify(|wanted| wanted.restarting = under_way);
    }

    /// True the first time.
    pub(crate) fn quitting(&self) -> bool {
        self.0.send_if_modified(|wanted| !std::mem::replace(&mut wanted.quitting, true))
    }

    /// Paints again what a choice in the menu has turned by itself.
    pub(crate) fn as_it_was(&self) {
        self.0.send_modify(|_| {});
    }
}

/// Other starts of this program want to see its window.
#[derive(Debug)]
pub(crate) struct Calls(mpsc::Receiver<()>);

impl Calls {
    /// And what to call when one comes. Calls before the tray is up wait for it; several are one.
    pub(crate) fn new() -> (Self, impl Fn() + Send + Sync + 'static) {
        let (call, calls) = mpsc::channel(1);
        // Full: one that waits does the same.
        let ask = move || {
            call.try_send(()).ok();
        };
        (Self(calls), ask)
    }

    /// Waits for the next one; `None` once no more can come.
    pub(crate) async fn next(&mut self) -> Option<()> {
        self.0.recv().await
    }
}
