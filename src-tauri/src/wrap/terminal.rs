//! A window of the user's terminal for an agent: which terminal, and which arguments. Pure but for looking at PATH; whoever
//! asks starts it. No word of the command passes through a shell, except where the terminal itself takes only a line.
//!
//! Most windows close with their program. There `leeward wrap --hold` waits at an error, so that it can be read.

mod known;

#[cfg(unix)]
#[path = "terminal/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "terminal/windows.rs"]
mod platform;

pub use known::{HOLD, Terminal};

use super::context::AgentContext;
use known::{Wrapped, line};
use std::{ffi::OsString, path::Path};

/// There is none.
#[derive(Debug, thiserror::Error)]
#[error("no terminal was found (searched PATH for {0}); install one of them, or run this in a terminal: {1}")]
pub struct NoTerminal(String, String);

/// The user's terminal, with `leeward wrap` to run in `folder`; `args`: what stands after `wrap`.
///
/// # Errors
/// `NoTerminal`, which names what was searched and the line to run by hand.
pub fn terminal(leeward: &Path, args: &[OsString], folder: &Path, context: &AgentContext<'_>) -> Result<Terminal, NoTerminal> {
    let wrapped = Wrapped { leeward, args };
    platform::terminal(&wrapped, folder, context).ok_or_else(|| {
        let names: Vec<_> = platform::TERMINALS.iter().map(|(program, _)| *program).collect();
        NoTerminal(names.join(", "), line(&wrapped.words(false), folder))
    })
}
