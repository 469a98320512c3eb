//! Changes of this machine's network in the loop: forwarded to the generations, and shown. Watches nothing itself.

use super::state::Run;
use crate::{health::unix_ms, network::NetworkNews, status};
use tokio::{task::JoinError, time::Instant};

impl Run {
    /// Another network, or the same one after sleep: everybody who holds connections is notified, and the probe asks at once.
    pub(super) fn network_changed(&mut self, news: NetworkNews) {
        let (why, fingerprint) = match news {
            NetworkNews::Known { fingerprint } => {
                tracing::debug!("the network is known");
                // Nothing has changed, so nobody is woken; whoever asks sees it.
                self.network.tell.send_if_modified(|network| {
                    network.fingerprint = fingerprint;
                    false
                });
                return;
            }
            NetworkNews::Changed { why, fingerprint } => (why, fingerprint),
        };
        self.network.tell.send_modify(|network| {
            network.epoch += 1;
            network.fingerprint = fingerprint.unwrap_or(network.fingerprint);
        });
        let changes = self.network.changes.changes + 1;
        self.network.changes = status::Network { changes, last_unix_ms: Some(unix_ms()), last_why: Some(why) };
        tracing::info!("the network changed: {}", why.sentence());
        self.probing.next_at = Instant::now();
    }
}

pub(super) fn source_ended(ended: Result<(), JoinError>) {
    match ended {
        Ok(()) => tracing::debug!("nothing tells of changes of the network any more"),
        Err(e) => tracing::error!("what tells of changes of the network failed; they go unnoticed until the next start: {e}"),
    }
}
