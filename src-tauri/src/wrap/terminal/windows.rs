//! Windows half of `terminal`: Windows Terminal, else the console.

use super::known::{Known, Terminal, Wrapped, find};
use crate::wrap::context::AgentContext;
use std::{
    ffi::{OsStr, OsString},
    os::windows::process::CommandExt,
    path::Path,
    process::Command,
};

const CREATE_NEW_CONSOLE: u32 = 0x0000_0010;

/// Windows Terminal where it is installed; else the console that Windows gives a program of its own.
pub(super) const TERMINALS: &[Known] = &[("wt.exe", &[])];

/// The user's terminal with a command in it.
pub(super) fn terminal(wrapped: &Wrapped<'_>, folder: &Path, context: &AgentContext<'_>) -> Option<Terminal> {
    let words = wrapped.words(true);
    let (program, arguments) = words.split_first()?;
    if let Some(wt) = find("wt.exe", context) {
        let mut start = Command::new(wt);
        start.arg("-d").arg(folder).arg("--").args(words.iter().map(|word| for_wt(word)));
        return Some(Terminal { name: "Windows Terminal".into(), command: start });
    }
    let mut start = Command::new(program);
    start.args(arguments).current_dir(folder).creation_flags(CREATE_NEW_CONSOLE);
    Some(Terminal { name: "the Windows console".into(), command: start })
}

/// A semicolon separates commands of Windows Terminal's own, also within quotes, unless a backslash precedes it.
fn for_wt(word: &OsStr) -> OsString {
    word.to_string_lossy().replace(';', "\\;").into()
}
