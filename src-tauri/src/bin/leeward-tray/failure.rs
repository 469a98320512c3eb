//! Why the tray could not start. Knows nothing of what it is started for.

/// Exit codes, as in the table of docs/commands.md.
pub(crate) const USAGE: u8 = 64;
pub(crate) const UNAVAILABLE: u8 = 69;
pub(crate) const CANNOT_WRITE: u8 = 73;
pub(crate) const TRY_AGAIN: u8 = 75;
pub(crate) const BAD_CONFIG: u8 = 78;

/// Why the tray could not start: a sentence, and the exit code that docs/commands.md documents.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) sentence: String,
}

impl Failure {
    pub(crate) fn new(code: u8, sentence: impl ToString) -> Self {
        Self { code, sentence: sentence.to_string() }
    }
}
