//! A spinner or a bar for what takes longer than a second, on a terminal only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    future::Future,
    io::IsTerminal,
    time::{Duration, Instant},
};

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
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(Duration::from_millis(100));
    let done = work.await;
    spinner.finish_and_clear();
    done
}

/// A bar for work that reports how far it is. Dropping it takes it off the terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
    began: Instant,
}

impl Bar {
    /// A bar that shows itself once the work has taken long enough.
    pub(crate) fn new() -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self { bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())), began: Instant::now() }
    }

    /// How far it is.
    pub(crate) fn show(&mut self, message: &'static str, done: u64, total: u64) {
        if self.bar.is_hidden() && self.began.elapsed() >= PATIENCE && std::io::stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_length(total);
        self.bar.set_message(message);
        self.bar.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
