//! Windows half of autostart: a value of the user's `Run` key, quoted, and the task manager's switch beside it.

use super::Entry;
use std::{
    io,
    path::{Path, PathBuf},
};
use windows_registry::{CURRENT_USER, Key, Type};

/// The user's keys: what is started, and where the task manager and the settings keep their switch, which has 12 bytes and
/// an odd first one when it is off.
const USER: Keys<'_> = Keys {
    run: r"Software\Microsoft\Windows\CurrentVersion\Run",
    approved: r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run",
};
const NAME: &str = "Leeward";
const ON: [u8; 12] = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// ERROR_FILE_NOT_FOUND as an HRESULT.
const NOT_FOUND: i32 = 0x8007_0002_u32.cast_signed();

pub(super) fn place() -> io::Result<PathBuf> {
    Ok(Path::new("HKEY_CURRENT_USER").join(USER.run).join(NAME))
}

pub(super) fn read(_place: &Path) -> io::Result<Entry> {
    USER.read()
}

pub(super) fn write(_place: &Path, program: &Path) -> io::Result<()> {
    USER.write(program)
}

pub(super) fn remove(_place: &Path) -> io::Result<()> {
    USER.remove()
}

/// Names of keys below HKEY_CURRENT_USER.
#[derive(Clone, Copy, Debug)]
struct Keys<'a> {
    run: &'a str,
    approved: &'a str,
}

impl Keys<'_> {
    fn read(self) -> io::Result<Entry> {
        let command = found(CURRENT_USER.open(self.run).and_then(|key| key.get_string(NAME)))?;
        let Some(command) = command else { return Ok(Entry::Absent) };
        let approved = found(CURRENT_USER.open(self.approved).and_then(|key| key.get_value(NAME)))?;
        if approved.is_some_and(|value| value.first().is_some_and(|first| first % 2 == 1)) {
            return Ok(Entry::SwitchedOff);
        }
        Ok(first_word(&command).map_or(Entry::Absent, Entry::Starts))
    }

    fn write(self, program: &Path) -> io::Result<()> {
        let program = program.to_str().ok_or_else(|| io::Error::other("the program's path is not valid Unicode"))?;
        let key = CURRENT_USER.create(self.run).map_err(io::Error::other)?;
        // Without quotes a path with a blank would start whatever its first word names.
        key.set_string(NAME, format!("\"{program}\" --hidden")).map_err(io::Error::other)?;
        let approved = |key: Key| key.set_bytes(NAME, Type::Bytes, &ON);
        CURRENT_USER.create(self.approved).and_then(approved).map_err(io::Error::other)
    }

    fn remove(self) -> io::Result<()> {
        for path in [self.run, self.approved] {
            // Only a key that is opened for writing can lose a value.
            found(CURRENT_USER.create(path).and_then(|key| key.remove_value(NAME)))?;
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
mod tests {
    use super::*;

    /// In keys of its own: the user's stay as they are.
    #[test]
    fn the_registry_gives_back_what_was_written_and_obeys_the_other_switch() {
        let own = format!(r"Software\Leeward-test-{}", std::process::id());
        let (run, approved) = (format!(r"{own}\Run"), format!(r"{own}\Approved"));
        let keys = Keys { run: &run, approved: &approved };
        let program = Path::new(r"C:\Users\Jörg 风\a dir\leeward-tray.exe");
        let starts = Entry::Starts(program.to_str().unwrap().to_owned());
        assert_eq!(keys.read().unwrap(), Entry::Absent, "keys that are not there");
        keys.remove().unwrap();
        keys.write(program).unwrap();
        assert_eq!(keys.read().unwrap(), starts);
        let command = CURRENT_USER.open(&run).unwrap().get_string(NAME).unwrap();
        assert_eq!(command, format!("\"{}\" --hidden", program.display()));

        // As the task manager writes it: 3, and when.
        let off = [3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        CURRENT_USER.create(&approved).unwrap().set_bytes(NAME, Type::Bytes, &off).unwrap();
        assert_eq!(keys.read().unwrap(), Entry::SwitchedOff);
        keys.write(program).unwrap();
        assert_eq!(keys.read().unwrap(), starts, "switched on here is on");
        keys.remove().unwrap();
        assert_eq!(keys.read().unwrap(), Entry::Absent);
        CURRENT_USER.remove_tree(&own).unwrap();
    }

    #[test]
    fn the_program_is_the_first_word_blanks_and_all() {
        assert_eq!(first_word(r#""C:\a dir\leeward-tray.exe" --hidden"#).as_deref(), Some(r"C:\a dir\leeward-tray.exe"));
        assert_eq!(first_word(r"C:\leeward-tray.exe --hidden").as_deref(), Some(r"C:\leeward-tray.exe"));
        assert_eq!(first_word(""), None);
        assert_eq!(first_word("\"\" x"), None);
    }
}
