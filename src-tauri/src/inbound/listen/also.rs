//! Accepts on an address that was served before, for those who know it, beside the accept loop. Is not supervised by pulse:
//! the supervisor looks whether the socket listens, and starts another generation where it does not.

use super::{Accept, Kind, MANY, PAUSE, accept, served::Served};
use crate::control::Mode;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// One such address.
pub struct Also {
    /// Who serves its connections.
    pub served: Served,
    /// Its socket.
    pub listener: Box<dyn Accept>,
    /// Nobody uses the address any more.
    pub given_up: CancellationToken,
}

impl std::fmt::Debug for Also {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Also").field("served", &self.served.local).finish_non_exhaustive()
    }
}

impl Also {
    /// Accepts until the mode is no longer `Serving`, the address is given up, or the socket is gone.
    pub async fn run(self) {
        let Self { served, listener, given_up } = self;
        let mut mode = served.inbound.mode.clone();
        let (mut listener, mut pause, mut in_a_row) = (Some(listener), PAUSE.0, 0u32);
        loop {
            let accepted = tokio::select! {
                biased;
                () = Mode::reaches(&mut mode, Mode::Draining) => break,
                () = given_up.cancelled() => break,
                accepted = accept(&mut listener) => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    (pause, in_a_row) = (PAUSE.0, 0);
                    served.take(stream, peer);
                }
                Err(error) => {
                    served.inbound.counters.failed(&error);
                    in_a_row = in_a_row.saturating_add(1);
                    match Kind::of(&error) {
                        Kind::Socket => break,
                        Kind::Connection if in_a_row < MANY => tokio::task::yield_now().await,
                        Kind::Connection | Kind::Resources => {
                            sleep(pause).await;
                            pause = (pause * 2).min(PAUSE.1);
                        }
                    }
                }
            }
        }
        if let Some(listener) = listener {
            listener.let_go(served.local);
        }
    }
}
