//! A window of the user's terminal for a command: which terminal, and which arguments. Pure but for looking at PATH; whoever
//! asks starts it. No word of the command passes through a shell, except where the terminal itself takes only a line.

mod known;

#[cfg(unix)]
#[path = "terminal/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "terminal/windows.rs"]
mod platform;

pub use known::Terminal;

use super::context::AgentContext;
use known::line;
use std::{ffi::OsString, path::Path};

/// There is none.
#[derive(Debug, thiserror::Error)]
#[error("no terminal was found (searched PATH for {0}); install one of them, or run this in a terminal: {1}")]
pub struct NoTerminal(String, String);

/// The user's terminal, with `command` to run in `folder`.
///
/// # Errors
/// `NoTerminal`, which names what was searched and the line to run by hand.
pub fn terminal(command: &[OsString], folder: &Path, context: &AgentContext<'_>) -> Result<Terminal, NoTerminal> {
    platform::terminal(command, folder, context).ok_or_else(|| {
        let names: Vec<_> = platform::TERMINALS.iter().map(|(program, _)| *program).collect();
        NoTerminal(names.join(", "), line(command, folder))
    })
}
