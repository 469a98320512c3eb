//! The links to the panel that were given out and not used. Decides nothing.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A browser that has to be started first takes some seconds.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// More are asked for by nobody; the oldest one goes.
const MOST: usize = 8;

/// The links that were given out and not used.
#[derive(Debug, Default)]
pub(crate) struct Invitations(Mutex<Vec<(String, Instant)>>);

impl Invitations {
    pub(super) fn give(&self) -> Result<String, getrandom::Error> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes)?;
        let code: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.remove(0);
        }
        all.push((code.clone(), Instant::now() + GOOD_FOR));
        Ok(code)
    }

    /// Whether that is one; it is used up.
    pub(super) fn take(&self, code: &str) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, until)| *until > Instant::now());
        let found = all.iter().position(|(known, _)| known == code);
        found.is_some_and(|at| {
            all.remove(at);
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_link_is_good_once_and_not_for_long() {
        let all = Invitations::default();
        let [first, second] = [0, 1].map(|_| all.give().unwrap());
        assert!(first != second && first.len() == 64);
        assert_eq!([all.take("0"), all.take(&first), all.take(&first)], [false, true, false]);
        tokio::time::advance(GOOD_FOR).await;
        assert!(!all.take(&second), "too late");
        let many: Vec<_> = (0..=MOST).map(|_| all.give().unwrap()).collect();
        assert_eq!([all.take(&many[0]), all.take(&many[1])], [false, true]);
    }
}
