//! A spinner for what takes longer than a second, on a terminal only.

use std::{future::Future, io::IsTerminal, time::Duration};

const PATIENCE: Duration = Duration::from_secs(1);

/// Waits for `work` and shows `message` meanwhile, if it takes long and somebody watches.
pub(crate) async fn while_waiting<T>(message: &'static str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    if let Ok(done) = tokio::time::timeout(PATIENCE, &mut work).await {
        return done;
    }
    let spinner = indicatif::ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(Duration::from_millis(100));
    let done = work.await;
    spinner.finish_and_clear();
    done
}
