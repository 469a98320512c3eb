//! The window with the panel, as whoever serves asks for it. Knows no desktop: the program that has a window brings it along.

use std::sync::Arc;

/// Brings up the window with the panel, in a program that has one.
#[derive(Clone)]
pub struct Window(Arc<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Window")
    }
}

impl Window {
    /// Asks by calling `show`, which must not block.
    pub fn new(show: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(show))
    }

    /// Asks for it.
    pub fn show(&self) {
        (self.0)();
    }
}
