//! Opens an address in the user's browser. Knows nothing of what is there.

use leeward::config::environment;
use std::{
    io,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// A program that opens another ends at once; one that becomes the browser goes on.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// Whether there is a desktop to open one on.
pub(crate) fn is_there() -> bool {
    let set = |name| environment(name).is_some_and(|value| !value.is_empty());
    cfg!(any(windows, target_os = "macos")) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

/// Opens the address. What it shows, the browser says.
pub(crate) fn open(address: &str) -> io::Result<()> {
    let (program, args) = opener();
    let mut command = Command::new(program);
    command.args(args).arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let named = |why: io::Error| io::Error::new(why.kind(), format!("{program}: {why}"));
    let mut child = command.spawn().map_err(named)?;
    let until = Instant::now() + ENDS_WITHIN;
    while Instant::now() < until {
        match child.try_wait().map_err(named)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(io::Error::other(format!("{program}: {status}"))),
            None => sleep(LOOK),
        }
    }
    Ok(())
}

/// What opens an address with the program that the user has chosen for it.
#[cfg(windows)]
fn opener() -> (&'static str, &'static [&'static str]) {
    // `start` is a word of cmd's, which reads signs in an address as its own.
    ("rundll32.exe", &["url.dll,FileProtocolHandler"])
}

#[cfg(target_os = "macos")]
fn opener() -> (&'static str, &'static [&'static str]) {
    ("/usr/bin/open", &[])
}

#[cfg(not(any(windows, target_os = "macos")))]
fn opener() -> (&'static str, &'static [&'static str]) {
    ("xdg-open", &[])
}
