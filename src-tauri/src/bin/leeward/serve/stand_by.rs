//! `serve --stand-by`: waits in the place of the Leeward that serves here, as a service does beside the tray. Starts no engine.

use super::{Request, platform::Requests};
use crate::{
    block_on,
    exit::{Exit, Failure, Outcome},
    out::say,
};
use leeward::{
    config::Config,
    instance::{self, Lock, Record},
    service::Notifier,
};
use std::{convert::Infallible, future::pending};
use tokio::time::sleep;

/// The lock, once the other one has ended; `None` when this one is asked to end first.
pub(super) fn wait(config: &Config, other: Option<Record>, notifier: &Notifier) -> Outcome<Option<Lock>> {
    let at = other.map_or_else(String::new, |other| format!(" on {} (pid {})", other.address, other.pid));
    block_on(async {
        let registered = Requests::register();
        let mut requests = registered.map_err(|e| Failure::new(Exit::Unavailable, format!("cannot receive signals: {e}")))?;
        // Whoever reads this may ask it to end at once.
        say(format!("another Leeward serves{at}; this one stands by and serves when it ends"));
        notifier.ready(&format!("standing by: another Leeward serves{at}"));
        let ended = tokio::select! {
            lock = instance::stand_by(&config.paths) => Ok(Some(lock?)),
            () = end(&mut requests) => Ok(None),
            never = beats(notifier) => match never {},
        };
        requests.outlive();
        ended
    })?
}

async fn end(requests: &mut Requests) {
    while requests.next().await != Request::End {}
}

/// Signs of life, for a manager that wants them.
pub(super) async fn beats(notifier: &Notifier) -> Infallible {
    let Some(beat) = notifier.beat() else { return pending().await };
    loop {
        notifier.alive();
        sleep(beat).await;
    }
}
