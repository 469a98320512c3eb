//! How far the demo is, for whoever shows it. Shows nothing itself.

/// Gets how many steps of a stage are done.
pub(super) type Step<'a> = &'a mut (dyn FnMut(u64) + Send);

/// How far the demo is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being tried, as a phrase.
    pub stage: &'static str,
    /// Steps done, of all stages together.
    pub done: u64,
    /// Steps in all.
    pub total: u64,
}
