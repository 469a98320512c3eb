//! A file that begins anew when it is full: `leeward.log`, then `leeward.log.1` (the youngest) to `.4`.
//!
//! Written by one process at a time: the one that holds the instance lock. Trouble with an old file never stops the log.

#[cfg(unix)]
#[path = "unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "windows.rs"]
mod platform;

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The current file and what is needed to begin the next.
#[derive(Debug)]
pub struct Rotating {
    path: PathBuf,
    file: File,
    written: u64,
    limit: u64,
    kept: u32,
}

impl Rotating {
    /// Opens the file for appending, creating its folder if need be; `limit` is in bytes.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn open(path: &Path, limit: u64, kept: u32) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            platform::create_dir(folder)?;
        }
        let (file, written) = append_to(path)?;
        Ok(Self { path: path.to_owned(), file, written, limit, kept })
    }

    fn numbered(&self, number: u32) -> PathBuf {
        numbered(&self.path, number)
    }

    /// Where a file cannot be moved (held open by another program on Windows), the current one simply grows on.
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.kept).rev() {
            // Most of them do not exist yet.
            std::fs::rename(self.numbered(number), self.numbered(number + 1)).ok();
        }
        if self.kept > 0 {
            std::fs::rename(&self.path, self.numbered(1)).ok();
        } else {
            std::fs::remove_file(&self.path).ok();
        }
        (self.file, self.written) = append_to(&self.path)?;
        Ok(())
    }
}

impl Write for Rotating {
    /// Takes the whole line, so that no line is cut by a rotation.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.written > 0 && self.written + line.len() as u64 > self.limit {
            self.rotate()?;
        }
        self.file.write_all(line)?;
        self.written += line.len() as u64;
        Ok(line.len())
    }

    /// Called when the queue is empty: the moment to notice that the user has deleted the file.
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()?;
        if !self.path.exists() {
            *self = Self::open(&self.path, self.limit, self.kept)?;
        }
        Ok(())
    }
}

/// A finished file; 1 is the youngest.
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{number}"));
    name.into()
}

fn append_to(path: &Path) -> io::Result<(File, u64)> {
    let file = platform::append_to(path)?;
    let written = file.metadata()?.len();
    Ok((file, written))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_goes_and_no_line_is_cut() {
        let home = tempfile::tempdir().unwrap();
        let mut log = Rotating::open(&home.path().join("a.log"), 20, 2).unwrap();
        for number in 0..9 {
            log.write_all(format!("line {number} end\n").as_bytes()).unwrap();
        }
        assert_eq!(names(home.path()), ["a.log", "a.log.1", "a.log.2"]);
        for (name, text) in [("a.log", "line 8 end\n"), ("a.log.1", "line 7 end\n"), ("a.log.2", "line 6 end\n")] {
            assert_eq!(std::fs::read_to_string(home.path().join(name)).unwrap(), text);
        }
    }

    #[test]
    fn a_line_longer_than_the_limit_is_written_whole() {
        let home = tempfile::tempdir().unwrap();
        let mut log = Rotating::open(&home.path().join("a.log"), 4, 1).unwrap();
        log.write_all(b"longer than four\n").unwrap();
        assert_eq!(std::fs::read_to_string(home.path().join("a.log")).unwrap(), "longer than four\n");
    }

    #[test]
    fn it_goes_on_where_the_last_process_ended() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("a.log"), "0123456789").unwrap();
        let mut log = Rotating::open(&home.path().join("a.log"), 12, 1).unwrap();
        log.write_all(b"abc").unwrap();
        assert_eq!(std::fs::read_to_string(home.path().join("a.log.1")).unwrap(), "0123456789");
        assert_eq!(std::fs::read_to_string(home.path().join("a.log")).unwrap(), "abc");
    }

    /// Windows keeps a file that is open.
    #[cfg(unix)]
    #[test]
    fn a_deleted_file_comes_back() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("logs").join("a.log");
        let mut log = Rotating::open(&path, 100, 1).unwrap();
        log.write_all(b"one\n").unwrap();
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        log.flush().unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_reads_it_whatever_was_there() {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt};
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("logs");
        let path = folder.join("a.log");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        Rotating::open(&path, 100, 1).unwrap();
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        Rotating::open(&path, 100, 1).unwrap();
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
    }
}
