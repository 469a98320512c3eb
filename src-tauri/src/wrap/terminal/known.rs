//! What a known terminal is, and what is said to every one of them. Starts none.

use crate::wrap::{context::AgentContext, shell::Shell};
use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

/// The option of `leeward wrap` that keeps a window open at an error.
pub const HOLD: &str = "--hold";

/// A terminal to start.
#[derive(Debug)]
pub struct Terminal {
    /// As its users call it.
    pub name: String,
    /// What to start, in the folder.
    pub command: Command,
}

/// `leeward wrap` and what it is to start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrapped<'a> {
    pub(super) leeward: &'a Path,
    /// After `wrap`.
    pub(super) args: &'a [OsString],
}

impl Wrapped<'_> {
    /// The command. `closes`: the window closes with it, so that it has to wait at an error.
    pub(super) fn words(&self, closes: bool) -> Vec<OsString> {
        let hold = closes.then(|| HOLD.into());
        [self.leeward.into(), "wrap".into()].into_iter().chain(hold).chain(self.args.iter().cloned()).collect()
    }
}

/// A known terminal: its program, and the words between that and the command.
pub(super) type Known = (&'static str, &'static [&'static str]);

/// A program on PATH.
pub(super) fn find(program: &str, context: &AgentContext<'_>) -> Option<PathBuf> {
    which::which_in(program, (context.env)("PATH"), &context.cwd).ok()
}

/// The command as one line of a shell.
pub(super) fn line(command: &[OsString], folder: &Path) -> String {
    let shell = if cfg!(windows) { Shell::PowerShell } else { Shell::Sh };
    let quote = |word: &OsStr| shell.quote(&word.to_string_lossy());
    let words: Vec<_> = command.iter().map(|word| quote(word)).collect();
    // PowerShell takes a quoted first word as a text unless it is called.
    let (and, call) = if cfg!(windows) { ("; ", "& ") } else { (" && ", "") };
    format!("cd {}{and}{call}{}", quote(folder.as_os_str()), words.join(" "))
}
