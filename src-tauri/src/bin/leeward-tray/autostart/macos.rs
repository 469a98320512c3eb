//! macOS half of autostart. The plugin's launch agent (launchd.plist(5)) gets the escapes of its format; the system's list of
//! login items can switch it off, which launchd reports.

use super::entry::{Entry, HIDDEN};
use leeward::instance::write_atomically;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The file's name and the agent's label, as the plugin gets it.
pub(super) const NAME: &str = "app.leeward";

pub(super) fn place() -> io::Result<PathBuf> {
    let dirs = directories::BaseDirs::new().ok_or_else(|| io::Error::other("there is no home folder"))?;
    Ok(dirs.home_dir().join("Library").join("LaunchAgents").join(format!("{NAME}.plist")))
}

/// `is_there`: the plugin finds its file. It asks neither the file nor launchd.
pub(super) fn read(file: &Path, is_there: bool) -> io::Result<Entry> {
    if !is_there {
        return Ok(Entry::Absent);
    }
    match fs::read_to_string(file) {
        Ok(_) if launchctl(&["print-disabled", &domain()]).is_ok_and(|said| is_disabled(&said)) => Ok(Entry::SwitchedOff),
        Ok(text) => Ok(program(&text).map_or(Entry::Absent, Entry::Starts)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Entry::Absent),
        Err(e) => Err(io::Error::other(format!("{}: {e}", file.display()))),
    }
}

/// The program as a string of the agent wants it.
pub(super) fn spelled(program: &Path) -> io::Result<String> {
    let program = program.to_str().ok_or_else(|| io::Error::other("the program's path is not valid UTF-8"))?;
    if program.contains(char::is_control) {
        return Err(io::Error::other("the program's path has a control character in it"));
    }
    Ok(program.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

/// Corrects what the plugin has just written, and removes the mark of the system's settings.
pub(super) fn mend(file: &Path, program: &str) -> io::Result<()> {
    mend_file(file, program)?;
    // It starts at the next login; loading it now would start a second one.
    launchctl(&["enable", &format!("{}/{NAME}", domain())]).map(drop)
}

fn mend_file(file: &Path, program: &str) -> io::Result<()> {
    let text = mended(&fs::read_to_string(file)?, program);
    write_atomically(file, text.ok_or_else(|| io::Error::other("the launch agent is not as it was expected"))?.as_bytes())
}

/// The agent with its arguments escaped, for sessions with a desktop only. What stands between these two keys is replaced as a
/// whole, since a path that is not escaped may look like anything.
fn mended(text: &str, program: &str) -> Option<String> {
    const ARGUMENTS: &str = "<key>ProgramArguments</key>";
    const AT_LOAD: &str = "<key>RunAtLoad</key>";
    let before = text.split_once(ARGUMENTS)?.0;
    let after = text.rsplit_once(AT_LOAD)?.1;
    let arguments = format!("<array><string>{program}</string><string>{HIDDEN}</string></array>");
    let session = "<key>LimitLoadToSessionType</key>\n  <string>Aqua</string>";
    Some(format!("{before}{ARGUMENTS}\n  {arguments}\n  {session}\n  {AT_LOAD}{after}"))
}

pub(super) fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn domain() -> String {
    format!("gui/{}", rustix::process::getuid().as_raw())
}

fn launchctl(words: &[&str]) -> io::Result<String> {
    let said = Command::new("/bin/launchctl").args(words).output()?;
    if !said.status.success() {
        return Err(io::Error::other(format!("launchctl {}: {}", words.join(" "), String::from_utf8_lossy(&said.stderr).trim())));
    }
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

/// Lines such as `"app.leeward" => disabled`; older systems say `true`.
fn is_disabled(said: &str) -> bool {
    let ours = said.lines().find_map(|line| line.trim().strip_prefix(&format!("\"{NAME}\" => ")));
    ours.is_some_and(|state| ["disabled", "true"].contains(&state.trim()))
}

/// The first argument.
fn program(text: &str) -> Option<String> {
    let arguments = text.split_once("<key>ProgramArguments</key>")?.1;
    let first = arguments.split_once("<string>")?.1.split_once("</string>")?.0;
    Some(first.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))
}

#[cfg(test)]
#[path = "macos/tests.rs"]
mod tests;
