//! Unix half of `terminal`: terminals of Linux and the BSDs by their options, those of macOS through AppleScript.

use super::known::{Known, Terminal, Wrapped, find, line};
use crate::wrap::{context::AgentContext, shell::Shell};
use std::{ffi::OsString, path::Path, process::Command};

/// Terminals of Linux and the BSDs, the user's own choice first. Debian's policy (section 11.8.3) promises `-e`.
pub(super) const TERMINALS: &[Known] = if cfg!(target_os = "macos") {
    &[("iTerm", &[]), ("Terminal", &[])]
} else {
    &[
        ("xdg-terminal-exec", &[]),
        ("x-terminal-emulator", &["-e"]),
        ("ptyxis", &["--"]),
        ("kgx", &["--"]),
        ("gnome-terminal", &["--"]),
        ("konsole", &["-e"]),
        ("xfce4-terminal", &["-x"]),
        ("mate-terminal", &["-x"]),
        ("tilix", &["-e"]),
        ("ghostty", &["-e"]),
        ("kitty", &[]),
        ("alacritty", &["-e"]),
        ("wezterm", &["start", "--"]),
        ("foot", &[]),
        ("xterm", &["-e"]),
    ]
};

/// The user's terminal with a command in it. macOS' take a line from AppleScript, which gets it as an argument.
pub(super) fn terminal(wrapped: &Wrapped<'_>, folder: &Path, context: &AgentContext<'_>) -> Option<Terminal> {
    if !cfg!(target_os = "macos") {
        return first(TERMINALS, &wrapped.words(true), folder, context);
    }
    let iterm = Path::new("/Applications/iTerm.app").exists();
    // Terminal types the line into a shell of its own, which stays after it.
    let line = line(&wrapped.words(iterm), folder);
    let (name, script, line) = if iterm {
        // It starts a program and no line, so a shell reads the line.
        let line = format!("/bin/sh -c {}", Shell::Sh.quote(&line));
        ("iTerm", "tell application \"iTerm\" to create window with default profile command (item 1 of argv)", line)
    } else {
        ("Terminal", "tell application \"Terminal\" to do script (item 1 of argv)", line)
    };
    let front = format!("tell application \"{name}\" to activate");
    let mut start = Command::new("/usr/bin/osascript");
    start.args(["-e", "on run argv", "-e", script, "-e", &front, "-e", "end run"]).arg(line).current_dir(folder);
    Some(Terminal { name: name.to_owned(), command: start })
}

/// The first of the known ones that is on PATH.
fn first(known: &[Known], command: &[OsString], folder: &Path, context: &AgentContext<'_>) -> Option<Terminal> {
    known.iter().find_map(|(program, before)| {
        let path = find(program, context)?;
        let mut start = Command::new(path);
        start.args(*before).args(command).current_dir(folder);
        Some(Terminal { name: (*program).to_owned(), command: start })
    })
}

#[cfg(test)]
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

    /// Every known terminal is played by a script that runs what it is given, as the real one does.
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

    /// The window of the first one closes with its program; that of the second one stays.
    #[test]
    fn an_error_is_kept_to_be_read_where_the_window_would_close() {
        let args: Vec<OsString> = ["claude", "--mode", "tunnel", "--", "--hold"].map(OsString::from).to_vec();
        let wrapped = Wrapped { leeward: Path::new("/opt/leeward"), args: &args };
        let words = |closes| wrapped.words(closes).iter().map(|word| word.display().to_string()).collect::<Vec<_>>();
        assert_eq!(words(true), ["/opt/leeward", "wrap", "--hold", "claude", "--mode", "tunnel", "--", "--hold"]);
        assert_eq!(words(false), ["/opt/leeward", "wrap", "claude", "--mode", "tunnel", "--", "--hold"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn without_a_terminal_the_line_to_run_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = |_: &str| Some(folder.path().join("none").display().to_string());
        let args: Vec<OsString> = ["claude", "--", "two words"].map(OsString::from).to_vec();
        let found = super::super::terminal(Path::new("leeward"), &args, Path::new("/a b"), &context(&nothing));
        let why = found.unwrap_err().to_string();
        assert!(why.contains("xdg-terminal-exec") && why.contains("xterm"), "{why}");
        assert!(why.ends_with("cd '/a b' && leeward wrap claude -- 'two words'"), "{why}");
    }
}
