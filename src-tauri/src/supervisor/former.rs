//! An address that was served before the present one, for as long as somebody uses it. Data.

use super::socket::Socket;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// See the file's first line.
#[derive(Debug)]
pub(super) struct Former {
    pub(super) socket: Socket,
    /// Ends those who accept on it.
    pub(super) given_up: CancellationToken,
    /// When somebody was last seen to use it.
    pub(super) used: Instant,
}

impl Former {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, given_up: CancellationToken::new(), used: Instant::now() }
    }
}
