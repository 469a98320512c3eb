//! Versions of programs whose files do not say them: each is asked with `--version`, within a limit. Only for a person at a
//! terminal; an engine starts no programs.

use super::installs::is_version;
use crate::status::coverage::{Coverage, InstallKind};
use std::{
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Node starts slowly.
const WITHIN: Duration = Duration::from_secs(4);
/// Between two looks at whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// More than a version takes; it fits into a pipe, so nobody waits for a reader.
const MOST: u64 = 4096;

/// Asks those programs for their version that have none, all at once.
pub fn ask_versions(coverage: &mut Coverage) {
    let installs = coverage.agents.iter_mut().flat_map(|agent| &mut agent.installs);
    let unknown = installs.filter(|one| {
        one.version.is_none() && !matches!(one.kind, InstallKind::Extension | InstallKind::App) && one.path.is_absolute()
    });
    thread::scope(|scope| {
        for install in unknown {
            scope.spawn(|| install.version = ask(&install.path));
        }
    });
}

fn ask(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    #[cfg(windows)]
    std::os::windows::process::CommandExt::creation_flags(&mut command, 0x0800_0000); // CREATE_NO_WINDOW
    let mut child = command.spawn().ok()?;
    if !ends(&mut child) {
        child.kill().ok();
        child.wait().ok();
        return None;
    }
    let mut said = Vec::new();
    child.stdout.take()?.take(MOST).read_to_end(&mut said).ok()?;
    read_version(&String::from_utf8_lossy(&said))
}

/// Whether it ends well, and in time.
fn ends(child: &mut Child) -> bool {
    let until = Instant::now() + WITHIN;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < until => thread::sleep(LOOK),
            Ok(None) | Err(_) => return false,
        }
    }
}

/// The version in what a program says of itself: the first word that looks like one, `2.1.329` of `2.1.329 (Claude Code)`.
pub fn read_version(said: &str) -> Option<String> {
    let plain = |word: &str| word.trim_start_matches('v').trim_end_matches([',', ')']).to_owned();
    said.split_whitespace().map(plain).find(|word| word.contains('.') && is_version(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_agents_say() {
        for (said, version) in [
            ("2.1.329 (Claude Code)\n", Some("2.1.329")),
            ("codex-cli 0.80.0\n", Some("0.80.0")),
            ("aider v0.86.1", Some("0.86.1")),
            ("kimi, version 1.2,", Some("1.2")),
            ("Usage: x [OPTIONS]", None),
            ("1.2/../../hush", None),
            ("", None),
        ] {
            assert_eq!(read_version(said).as_deref(), version, "{said}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_hangs_fails_or_is_none_has_no_version() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let program = |text: &str| {
            let path = folder.path().join(format!("p{}", text.len()));
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
            path
        };
        let began = Instant::now();
        assert_eq!(ask(&program("#!/bin/sh\necho 1.2.3 of it\n")).as_deref(), Some("1.2.3"));
        assert_eq!(ask(&program("#!/bin/sh\necho 1.2.3; exit 1\n")), None);
        assert_eq!(ask(&folder.path().join("gone")), None);
        assert!(began.elapsed() < WITHIN);
        assert_eq!(ask(&program("#!/bin/sh\nexec sleep 100\n")), None);
        assert!(began.elapsed() >= WITHIN);
    }
}
