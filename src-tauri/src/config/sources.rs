//! What a config is made from besides its file: environment and command line. The only file that reads the environment.

use super::{own_proxy, paths::StandIn};
use std::path::PathBuf;

/// What the command line says; it wins over everything else.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--listen`
    pub listen: Option<String>,
    /// `--upstream`
    pub upstream: Option<String>,
    /// `--config`
    pub config_file: Option<PathBuf>,
    /// `--state`, or what was found where the state folder cannot be used.
    pub stand_in: Option<StandIn>,
}

/// Everything a config is made from, so that tests need no real environment.
pub struct Sources<'a> {
    /// Looks up an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The command line.
    pub flags: Flags,
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("flags", &self.flags).finish_non_exhaustive()
    }
}

/// The names of the process environment's variables that are UTF-8.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment_names() -> Vec<String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
}

/// The process environment, for `Sources::env`; variables that are not UTF-8 count as unset. The proxy of a session that this
/// process runs in is not in it: what stood in its place is.
pub fn environment(name: &str) -> Option<String> {
    own_proxy::outside(name, &variable)
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
