//! A window of the user's terminal for a command: which terminal, and how it is told. Pure but for looking at PATH; whoever
//! asks starts it. No word of the command passes through a shell, except where the terminal itself takes only a line.

use super::{context::AgentContext, platform, shell::Shell};
use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

/// A terminal to start.
#[derive(Debug)]
pub struct Terminal {
    /// As its users call it.
    pub name: String,
    /// What to start, in the folder.
    pub command: Command,
}

/// A known terminal: its program, and the words between that and the command.
pub(super) type Known = (&'static str, &'static [&'static str]);

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

/// The first of the known ones that is on PATH. Windows has but one, which takes its words differently.
#[cfg(unix)]
pub(super) fn first(known: &[Known], command: &[OsString], folder: &Path, context: &AgentContext<'_>) -> Option<Terminal> {
    known.iter().find_map(|(program, before)| {
        let path = find(program, context)?;
        let mut start = Command::new(path);
        start.args(*before).args(command).current_dir(folder);
        Some(Terminal { name: (*program).to_owned(), command: start })
    })
}

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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn context<'a>(env: &'a dyn Fn(&str) -> Option<String>) -> AgentContext<'a> {
        AgentContext {
            env,
            read: &|_| Err(std::io::ErrorKind::NotFound.into()),
            list: &|_| Vec::new(),
            home: None,
            cwd: "/".into(),
        }
    }

    /// Every known terminal is played by a script that runs what it is told to, as the real one does.
    #[test]
    fn each_terminal_gets_the_words_as_they_are() {
        let words: Vec<OsString> = ["/bin/echo", "-n", "it's", "a b", "$HOME;", "-e"].map(OsString::from).to_vec();
        for (program, before) in [("xdg-terminal-exec", &[][..]), ("xterm", &["-e"][..]), ("wezterm", &["start", "--"][..])] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(program);
            let script = format!("#!/bin/sh\nshift {}\npwd\nexec \"$@\"\n", before.len());
            // Written by another process: what a test beside this one starts could inherit the open file of this one, and
            // no program runs that is open to be written (ETXTBSY).
            let mut write = Command::new("/bin/sh");
            write.args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""]).arg(&path).arg(script);
            assert!(write.status().unwrap().success());
            let path = folder.path().display().to_string();
            let env = |name: &str| (name == "PATH").then(|| path.clone());
            let known: Vec<Known> = vec![("no-such-terminal", &[]), (program, before)];
            let mut found = first(&known, &words, Path::new("/usr"), &context(&env)).unwrap();
            assert_eq!(found.name, program);
            let said = String::from_utf8(found.command.output().unwrap().stdout).unwrap();
            assert_eq!(said, "/usr\nit's a b $HOME; -e", "{program}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn without_a_terminal_the_line_to_run_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = |_: &str| Some(folder.path().join("none").display().to_string());
        let words: Vec<OsString> = ["leeward", "wrap", "claude", "--", "two words"].map(OsString::from).to_vec();
        let why = terminal(&words, Path::new("/a b"), &context(&nothing)).unwrap_err().to_string();
        assert!(why.contains("xdg-terminal-exec") && why.contains("xterm"), "{why}");
        assert!(why.ends_with("cd '/a b' && leeward wrap claude -- 'two words'"), "{why}");
    }
}
