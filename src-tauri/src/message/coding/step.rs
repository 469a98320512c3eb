//! What each coding's decoder does. Decides nothing and keeps nothing.

/// It is not what it is called.
#[derive(Debug)]
pub(super) struct Broken;

/// One coding's own state.
pub(super) trait Step: Send + Sync {
    /// Reads some, writes some: how much of each. Neither, when there is nothing to do without more input.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Broken>;
    /// True from the first byte on, except where the body may end.
    fn is_open(&self) -> bool;
    /// What would end it here, if it stands between two blocks.
    fn ending(&self) -> Vec<u8>;
}
