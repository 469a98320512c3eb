//! Windows half of autostart. The plugin's value of the `Run` key gets its quotes and becomes the user's own; the task
//! manager's switch beside it is read and set.

use super::entry::{Entry, HIDDEN};
use std::{
    io,
    path::{Path, PathBuf},
};
use windows_registry::{CURRENT_USER, Key, LOCAL_MACHINE, Type};

/// What is started, and where the task manager and the settings keep their switch, which has 12 bytes and an odd first one
/// when it is off. They stand below both roots; the user's is ours.
const VALUES: Values<'_> = Values {
    run: r"Software\Microsoft\Windows\CurrentVersion\Run",
    approved: r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run",
    name: NAME,
};
/// The value's name, as the plugin gets it.
pub(super) const NAME: &str = "Leeward";
const ON: [u8; 12] = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// ERROR_FILE_NOT_FOUND as an HRESULT.
const NOT_FOUND: i32 = 0x8007_0002_u32.cast_signed();
/// ERROR_ACCESS_DENIED as one.
const DENIED: i32 = 0x8007_0005_u32.cast_signed();

pub(super) fn place() -> io::Result<PathBuf> {
    Ok(Path::new("HKEY_CURRENT_USER").join(VALUES.run).join(NAME))
}

/// `is_on`: the plugin finds a value of the user's or of the machine's, and the task manager's switch as it reads it.
pub(super) fn read(_place: &Path, is_on: bool) -> io::Result<Entry> {
    VALUES.read(is_on)
}

/// The program as the first word of a command line. No path has a quote in it.
pub(super) fn spelled(program: &Path) -> io::Result<String> {
    let program = program.to_str().ok_or_else(|| io::Error::other("the program's path is not valid Unicode"))?;
    Ok(format!("\"{program}\""))
}

/// Corrects what the plugin has just written: quotes, and the user's key instead of the machine's.
pub(super) fn mend(_place: &Path, program: &str) -> io::Result<()> {
    VALUES.mend(program)
}

pub(super) fn remove(_place: &Path) -> io::Result<()> {
    VALUES.remove()
}

/// Two keys, and a value's name in both.
#[derive(Clone, Copy, Debug)]
struct Values<'a> {
    run: &'a str,
    approved: &'a str,
    name: &'a str,
}

impl Values<'_> {
    fn read(self, is_on: bool) -> io::Result<Entry> {
        match self.below(CURRENT_USER)? {
            Entry::Absent if is_on => self.below(LOCAL_MACHINE),
            entry => Ok(entry),
        }
    }

    fn below(self, root: &Key) -> io::Result<Entry> {
        let command = found(root.open(self.run).and_then(|key| key.get_string(self.name)))?;
        let Some(command) = command else { return Ok(Entry::Absent) };
        let approved = found(root.open(self.approved).and_then(|key| key.get_value(self.name)))?;
        if approved.is_some_and(|value| value.first().is_some_and(|first| first % 2 == 1)) {
            return Ok(Entry::SwitchedOff);
        }
        Ok(first_word(&command).map_or(Entry::Absent, Entry::Starts))
    }

    fn mend(self, program: &str) -> io::Result<()> {
        // The plugin writes for every user of the machine where it may; where it may not, there is nothing to remove.
        self.remove_below(LOCAL_MACHINE, &[NOT_FOUND, DENIED])?;
        // Without quotes a path with a blank would start whatever its first word names.
        let command = |key: Key| key.set_string(self.name, format!("{program} {HIDDEN}"));
        CURRENT_USER.create(self.run).and_then(command).map_err(io::Error::other)?;
        let approved = |key: Key| key.set_bytes(self.name, Type::Bytes, &ON);
        CURRENT_USER.create(self.approved).and_then(approved).map_err(io::Error::other)
    }

    /// Also the switch, which the plugin leaves.
    fn remove(self) -> io::Result<()> {
        self.remove_below(CURRENT_USER, &[NOT_FOUND])?;
        self.remove_below(LOCAL_MACHINE, &[NOT_FOUND, DENIED])?;
        match self.below(LOCAL_MACHINE)? {
            Entry::Starts(_) => {
                Err(io::Error::other("it is started for every user of this machine, as an administrator has set it"))
            }
            Entry::Absent | Entry::SwitchedOff => Ok(()),
        }
    }

    fn remove_below(self, root: &Key, no_errors: &[i32]) -> io::Result<()> {
        for path in [self.run, self.approved] {
            // Only a key that is opened for writing can lose a value.
            match root.options().write().open(path).and_then(|key| key.remove_value(self.name)) {
                Err(e) if !no_errors.contains(&e.code().0) => return Err(io::Error::other(e)),
                _ => {}
            }
        }
        Ok(())
    }
}

fn found<T>(read: windows_registry::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.code().0 == NOT_FOUND => Ok(None),
        Err(e) => Err(io::Error::other(e)),
    }
}

/// The program of a command line.
fn first_word(command: &str) -> Option<String> {
    let command = command.trim_start();
    let word = match command.strip_prefix('"') {
        Some(rest) => rest.split('"').next(),
        None => command.split_whitespace().next(),
    };
    word.filter(|word| !word.is_empty()).map(str::to_owned)
}

#[cfg(test)]
#[path = "windows/tests.rs"]
mod tests;
