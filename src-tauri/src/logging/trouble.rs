//! What keeps lines from the log's file, in a sentence, for whoever tells the user. Decides nothing.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// The sentence; `None` while lines are kept.
    pub fn sentence(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is(&self, path: &Path, why: &io::Error) {
        let path = path.display();
        let sentence = format!(
            "The log {path} cannot be written ({why}), so its lines are lost. Requests are served as ever. Free some space or mend \
             the folder; then the log goes on by itself."
        );
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sentence);
    }

    pub(super) fn is_over(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
