//! Windows half of autostart: a value of the user's `Run` key, quoted, and the task manager's switch beside it.

use super::Entry;
use std::{
    io,
    path::{Path, PathBuf},
};
use windows_registry::{CURRENT_USER, Key, Type};

const RUN: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";
/// Where the task manager and the settings keep their switch: 12 bytes, of which the first is odd when it is off.
const APPROVED: &str = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run";
const NAME: &str = "Leeward";
const ON: [u8; 12] = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// ERROR_FILE_NOT_FOUND as an HRESULT.
const NOT_FOUND: i32 = 0x8007_0002_u32.cast_signed();

pub(super) fn place() -> io::Result<PathBuf> {
    Ok(Path::new("HKEY_CURRENT_USER").join(RUN).join(NAME))
}

pub(super) fn read(_place: &Path) -> io::Result<Entry> {
    let Some(command) = found(CURRENT_USER.open(RUN).and_then(|key| key.get_string(NAME)))? else { return Ok(Entry::Absent) };
    let approved = found(CURRENT_USER.open(APPROVED).and_then(|key| key.get_value(NAME)))?;
    if approved.is_some_and(|value| value.first().is_some_and(|first| first % 2 == 1)) {
        return Ok(Entry::SwitchedOff);
    }
    Ok(first_word(&command).map_or(Entry::Absent, Entry::Starts))
}

pub(super) fn write(_place: &Path, program: &Path) -> io::Result<()> {
    let program = program.to_str().ok_or_else(|| io::Error::other("the program's path is not valid Unicode"))?;
    let key = CURRENT_USER.create(RUN).map_err(io::Error::other)?;
    // Without quotes a path with a blank would start whatever its first word names.
    key.set_string(NAME, format!("\"{program}\" --hidden")).map_err(io::Error::other)?;
    let approved = |key: Key| key.set_bytes(NAME, Type::Bytes, &ON);
    CURRENT_USER.create(APPROVED).and_then(approved).map_err(io::Error::other)
}

pub(super) fn remove(_place: &Path) -> io::Result<()> {
    for path in [RUN, APPROVED] {
        // Only a key that is opened for writing can lose a value.
        found(CURRENT_USER.create(path).and_then(|key| key.remove_value(NAME)))?;
    }
    Ok(())
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
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_first_word_blanks_and_all() {
        assert_eq!(first_word(r#""C:\a dir\leeward-tray.exe" --hidden"#).as_deref(), Some(r"C:\a dir\leeward-tray.exe"));
        assert_eq!(first_word(r"C:\leeward-tray.exe --hidden").as_deref(), Some(r"C:\leeward-tray.exe"));
        assert_eq!(first_word(""), None);
        assert_eq!(first_word("\"\" x"), None);
    }
}
