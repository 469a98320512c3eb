//! Linux: netlink reports links, addresses and routes, a cancelled timer and logind of sleep. Only asks and listens.

mod logind;
mod netlink;
mod registered;
mod wake;

use super::{
    picture::{OUTSIDE, Picture, Way, own_address},
    source::{Hint, note},
};
use rustix::{
    io::Errno,
    time::{ClockId, clock_gettime},
};
use std::{io, net::IpAddr, time::Duration};
use tokio::sync::mpsc;

/// Clocks that are read one after the other show one moment when nothing came between; on a busy machine it may take
/// more than one try.
const TRIES: u32 = 3;
const AT_ONCE: Duration = Duration::from_millis(50);

/// Netlink reports routes too.
pub(super) const EVENTS_SHOW_ROUTES: bool = true;

/// Sends a hint whenever links, addresses, routes or routing rules may have changed.
pub(super) async fn events(hints: mpsc::Sender<Hint>) -> io::Result<()> {
    netlink::listen(hints).await
}

/// Sends a hint whenever the machine may have resumed.
pub(super) async fn resumes(hints: mpsc::Sender<Hint>) -> io::Result<()> {
    let bus = async {
        let ended = logind::listen(zbus::connection::Builder::system(), hints.clone()).await;
        note("sleep, by logind", ended);
    };
    tokio::join!(wake::listen(hints.clone()), bus).0
}

/// Routes and addresses as the kernel reports them; in a sandbox without netlink, what a socket shows.
pub(super) async fn picture() -> io::Result<Picture> {
    match netlink::picture().await {
        // Only where it never works: two kinds of picture by turns would be a change each time.
        Err(e) if never(&e) => roughly(),
        seen => seen,
    }
}

/// A picture from no more than the addresses it would leave from.
fn roughly() -> io::Result<Picture> {
    let own = OUTSIDE.into_iter().map(own_address).collect::<io::Result<Vec<_>>>()?;
    let own: Vec<IpAddr> = own.into_iter().flatten().collect();
    let ways: Vec<_> = own.iter().map(|a| Way { v6: a.is_ipv6(), interface: String::new(), gateway: None }).collect();
    Ok(Picture::new(ways, own.into_iter().map(|a| (String::new(), a))))
}

fn never(e: &io::Error) -> bool {
    let errno = Errno::from_io_error(e);
    matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
        || matches!(errno, Some(Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::OPNOTSUPP))
}

/// `CLOCK_BOOTTIME` goes on while the machine sleeps and `CLOCK_MONOTONIC` does not (clock_gettime(2)): their difference is
/// the time asleep.
pub(super) fn asleep() -> Option<Duration> {
    let monotonic = || Duration::try_from(clock_gettime(ClockId::Monotonic)).ok();
    for _ in 0..TRIES {
        let before = monotonic()?;
        let with_sleep = Duration::try_from(clock_gettime(ClockId::Boottime)).ok()?;
        if monotonic()?.saturating_sub(before) < AT_ONCE {
            return Some(with_sleep.saturating_sub(before));
        }
    }
    None
}
