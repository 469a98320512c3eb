//! Whether this desktop shows tray icons at all. Plain GNOME does not: then the icon is nowhere, and nobody is notified.

#[cfg(target_os = "linux")]
use std::time::Duration;

/// A session that has just begun starts its panel after its programs.
#[cfg(target_os = "linux")]
const AT_LOGIN: Duration = Duration::from_secs(30);
#[cfg(target_os = "linux")]
const BY_HAND: Duration = Duration::from_secs(3);

/// False once nobody has offered to show icons for long enough.
#[cfg(target_os = "linux")]
pub(crate) async fn comes(at_login: bool) -> bool {
    const LOOK: Duration = Duration::from_millis(250);
    let looks = async {
        let mut bus = None;
        while !(is_there(&mut bus).await || by_x11()) {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(if at_login { AT_LOGIN } else { BY_HAND }, looks).await.is_ok()
}

/// Windows and macOS have one.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unused_async, reason = "the Linux half waits")]
pub(crate) async fn comes(_at_login: bool) -> bool {
    true
}

/// The StatusNotifier way, over the session bus.
#[cfg(target_os = "linux")]
async fn is_there(bus: &mut Option<zbus::Connection>) -> bool {
    const BUS: &str = "org.freedesktop.DBus";
    if bus.is_none() {
        *bus = zbus::Connection::session().await.ok();
    }
    let Some(bus) = bus else { return false };
    let asked = bus.call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "NameHasOwner", &"org.kde.StatusNotifierWatcher");
    asked.await.is_ok_and(|answer| answer.body().deserialize::<bool>().unwrap_or(false))
}

/// The older way: whoever owns this selection embeds icons (System Tray Protocol Specification).
#[cfg(target_os = "linux")]
fn by_x11() -> bool {
    use x11rb::{connection::Connection, protocol::xproto::ConnectionExt};
    let Ok((display, screen)) = x11rb::connect(None) else { return false };
    let name = format!("_NET_SYSTEM_TRAY_S{screen}");
    let owner = || {
        let atom = display.intern_atom(true, name.as_bytes()).ok()?.reply().ok()?.atom;
        display.get_selection_owner(atom).ok()?.reply().ok().map(|found| found.owner)
    };
    owner().is_some_and(|owner| owner != x11rb::NONE) && display.flush().is_ok()
}
