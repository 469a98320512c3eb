//! macOS half of autostart: a launch agent of the user's (launchd.plist(5)). The system's list of login items can
//! switch it off, which launchd tells.

use super::Entry;
use leeward::instance::write_atomically;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

const LABEL: &str = "app.leeward";

pub(super) fn place() -> io::Result<PathBuf> {
    let dirs = directories::BaseDirs::new().ok_or_else(|| io::Error::other("there is no home folder"))?;
    Ok(dirs.home_dir().join("Library").join("LaunchAgents").join(format!("{LABEL}.plist")))
}

pub(super) fn read(file: &Path) -> io::Result<Entry> {
    match fs::read_to_string(file) {
        Ok(_) if launchctl(&["print-disabled", &domain()]).is_ok_and(|said| is_disabled(&said)) => Ok(Entry::SwitchedOff),
        Ok(text) => Ok(program(&text).map_or(Entry::Absent, Entry::Starts)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Entry::Absent),
        Err(e) => Err(io::Error::other(format!("{}: {e}", file.display()))),
    }
}

pub(super) fn write(file: &Path, program: &Path) -> io::Result<()> {
    let program = program.to_str().ok_or_else(|| io::Error::other("the program's path is not valid UTF-8"))?;
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    write_atomically(file, agent(program).as_bytes())?;
    // It starts at the next login; loading it now would start a second one. The mark of the system's settings goes.
    launchctl(&["enable", &format!("{}/{LABEL}", domain())]).map(drop)
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
    let ours = said.lines().find_map(|line| line.trim().strip_prefix(&format!("\"{LABEL}\" => ")));
    ours.is_some_and(|state| ["disabled", "true"].contains(&state.trim()))
}

fn agent(program: &str) -> String {
    let program = program.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>{LABEL}</string>
	<key>ProgramArguments</key>
	<array>
		<string>{program}</string>
		<string>--hidden</string>
	</array>
	<key>RunAtLoad</key>
	<true/>
	<key>LimitLoadToSessionType</key>
	<string>Aqua</string>
</dict>
</plist>
"#
    )
}

/// The first argument, as `agent` writes it.
fn program(text: &str) -> Option<String> {
    let arguments = text.split_once("<key>ProgramArguments</key>")?.1;
    let first = arguments.split_once("<string>")?.1.split_once("</string>")?.0;
    Some(first.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_path_it_is_read_back_as_it_was() {
        for path in ["/Applications/Leeward.app/Contents/MacOS/leeward-tray", "/opt/a dir/<b> & \"c\"/x", "/opt/&lt;/x"] {
            assert_eq!(program(&agent(path)).as_deref(), Some(path));
        }
        assert_eq!(program("<plist/>"), None);
    }

    #[test]
    fn a_switch_in_the_systems_settings_is_seen() {
        assert!(is_disabled("disabled services = {\n\t\t\"app.leeward\" => disabled\n\t\t\"x\" => enabled\n}"));
        assert!(!is_disabled("disabled services = {\n\t\t\"app.leeward\" => enabled\n\t\t\"x\" => disabled\n}"));
    }
}
