//! How a connection ends on which nothing is to be said any more. Decides on no end.

use super::server::Inbound;
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// A client may close first for this long; the clients that mind a FIN after the last bytes need milliseconds.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// Closes it: FIN, then time for the client's own.
pub(super) async fn close(inbound: &Inbound, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    // A socket that is gone already needs no farewell.
    stream.shutdown().await.ok();
    timeout(inbound.config.client.linger, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await.ok();
}
