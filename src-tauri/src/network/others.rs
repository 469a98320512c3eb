//! Windows, macOS and the BSDs: the system reports interfaces and addresses, and a socket of the way out. Windows tells
//! that it has resumed; elsewhere sleep shows in the clocks alone. A change of routes shows in the next picture.

use super::{
    picture::{self, OUTSIDE, Picture, Way},
    source::Hint,
};
use std::{io, net::IpAddr, time::Duration};
use tokio::sync::mpsc;

/// The events are of interfaces and addresses only.
pub(super) const EVENTS_SHOW_ROUTES: bool = false;

/// Sends a hint whenever interfaces or addresses have changed.
pub(super) async fn events(hints: mpsc::Sender<Hint>) -> io::Result<()> {
    let told = hints.clone();
    let watching = netwatcher::watch_interfaces_with_callback(move |_| {
        told.try_send(Hint::Routes).ok(); // full: one is coming anyway
    })
    .map_err(|e| io::Error::other(format!("{e:?}")))?;
    hints.closed().await;
    drop(watching);
    Ok(())
}

/// Sends a hint whenever the system says that it has resumed.
#[cfg(windows)]
pub(super) async fn resumes(hints: mpsc::Sender<Hint>) -> io::Result<()> {
    let resumed = std::sync::Arc::new(tokio::sync::Notify::new());
    let told = resumed.clone();
    let registered = leeward_windows::on_resume(move || told.notify_one())?;
    loop {
        tokio::select! {
            () = resumed.notified() => { hints.send(Hint::Resumed).await.ok(); } // the next round sees that nobody listens
            () = hints.closed() => break,
        }
    }
    drop(registered);
    Ok(())
}

/// Nothing here reports a resume without a run loop of Apple's and code of our own in C.
#[cfg(not(windows))]
pub(super) async fn resumes(_: mpsc::Sender<Hint>) -> io::Result<()> {
    std::future::ready(Ok(())).await
}

/// The addresses the system would leave from, and the others of their interfaces.
pub(super) async fn picture() -> io::Result<Picture> {
    let interfaces = netwatcher::list_interfaces().map_err(|e| io::Error::other(format!("{e:?}")))?;
    let (mut ways, mut addresses) = (Vec::new(), Vec::new());
    for outside in OUTSIDE {
        let Some(own) = picture::own_address(outside)? else { continue };
        let holds = |ip: &IpAddr| *ip == own;
        let holder = interfaces.values().find(|i| i.ips.iter().any(|record| holds(&record.ip)));
        let name = holder.map_or_else(String::new, |i| i.name.clone());
        match holder {
            Some(interface) => addresses.extend(interface.ips.iter().map(|record| (name.clone(), record.ip))),
            None => addresses.push((name.clone(), own)),
        }
        ways.push(Way { v6: own.is_ipv6(), interface: name, gateway: None });
    }
    std::future::ready(Ok(Picture::new(ways, addresses))).await
}

/// The system's own count of its sleep is not to be had without code of our own in C.
pub(super) fn asleep() -> Option<Duration> {
    None
}
