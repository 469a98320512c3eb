//! Whose a TCP socket of this machine is, as the system says. Asks the system only, never the other end of a connection;
//! decides nothing about what its user may do.

mod owner;
mod sought;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;
#[cfg(windows)]
use windows as platform;

#[cfg(test)]
mod tests;

pub use owner::Owner;

use sought::Sought;
use std::net::SocketAddr;

/// Who listens at `address`. A listener on the unspecified address counts where nobody has the address itself. Blocks while
/// the system answers.
pub fn of_listener(address: SocketAddr) -> Owner {
    platform::owner(&Sought::listener(address))
}

/// Who has the client's end of a connection that this machine accepted: `local` and `peer` are the accepted end's addresses.
/// Only for peers on this machine; others are nobody's. Blocks while the system answers.
pub fn of_connection(local: SocketAddr, peer: SocketAddr) -> Owner {
    platform::owner(&Sought::connection(peer, local))
}
