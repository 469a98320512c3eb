//! A value that nobody may see. Shows itself only to whoever asks for it by name.

use aws_lc_rs::constant_time::verify_slices_are_equal;

/// A value that never shows itself in a log, an error or `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// Compares in a time that does not reveal how much matched; it may reveal the length.
    pub fn matches(&self, other: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), other.as_bytes()).is_ok()
    }

    /// The value itself; for sending it, never for showing it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
