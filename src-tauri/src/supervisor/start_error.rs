//! Why an engine did not start, as its user reads it.

use crate::instance::{Holder, TokenError};
use std::{io, net::SocketAddr};

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there.
    #[error(
        "port {} of {} is taken by {holder}; end that program, or choose another port (`listen` in the config, `serve --listen`)",
        .address.port(),
        .address.ip()
    )]
    PortTaken {
        /// The address.
        address: SocketAddr,
        /// Who holds it.
        holder: Holder,
    },
    /// The address cannot be bound for another reason.
    #[error("cannot listen on {address}: {why}{}", hint(.why))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        why: io::Error,
    },
    /// The control token cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The system gave no thread or runtime, or the first generation did not come up.
    #[error("the engine could not be started: {0}")]
    Engine(String),
}

fn hint(why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        io::ErrorKind::PermissionDenied if cfg!(windows) => {
            "; Windows may have reserved this port: see `netsh int ipv4 show excludedportrange protocol=tcp`, and choose another with --listen"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges: choose another with --listen",
        _ => "",
    }
}
