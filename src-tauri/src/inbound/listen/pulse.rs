//! How the supervisor sees that an accept loop runs: it asks, and the loop answers in its turn. Nothing beats by itself, so
//! that an idle machine is woken for the question alone.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tokio::sync::Notify;

/// One accept loop's pulse, shared with whoever takes it.
#[derive(Debug, Default)]
pub struct Pulse {
    asked: AtomicU64,
    answered: AtomicU64,
    question: Notify,
}

impl Pulse {
    /// Asks the loop for a sign of life.
    pub fn ask(&self) {
        self.asked.fetch_add(1, SeqCst);
        self.question.notify_one();
    }

    /// Whether the last question has its response.
    pub fn is_answered(&self) -> bool {
        self.answered.load(SeqCst) == self.asked.load(SeqCst)
    }

    /// Waits for a question and answers it.
    pub(super) async fn answer(&self) {
        self.question.notified().await;
        self.answered.store(self.asked.load(SeqCst), SeqCst);
    }
}
