//! A file that begins anew when it is full: `leeward.log`, then `leeward.log.1` (the youngest) to `.4`. One that vanishes comes
//! back, one that cannot be opened is tried again.
//!
//! Written by one process at a time: the one that holds the instance lock. Trouble with a file never stops the log.

#[cfg(unix)]
#[path = "unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "windows.rs"]
mod platform;

use super::trouble::Trouble;
use platform::FileId;
use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// While lines come, the file's place is looked at no more often than this.
const LOOK: Duration = Duration::from_millis(100);
/// The first line of a file that replaces one that vanished.
const GOES_ON: &[u8] = b"(the log goes on here: the file before was deleted, moved or replaced)\n";

/// The current file and what is needed to begin the next.
#[derive(Debug)]
pub struct Rotating {
    path: PathBuf,
    /// `None` while there is no file to write to.
    current: Option<Current>,
    limit: u64,
    kept: u32,
    looked: Instant,
    trouble: Trouble,
}

#[derive(Debug)]
struct Current {
    file: File,
    id: FileId,
    written: u64,
    /// It ends in a part of a line.
    torn: bool,
}

impl Rotating {
    /// Opens the file for appending, creating its folder if need be; `limit` is in bytes. What keeps it from that is in
    /// `trouble`, and it is tried again.
    pub fn open(path: &Path, limit: u64, kept: u32) -> Self {
        let (path, trouble) = (path.to_owned(), Trouble::default());
        let mut log = Self { path, current: None, limit, kept, looked: Instant::now(), trouble };
        log.look();
        log
    }

    /// What keeps lines from the file.
    pub(super) fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }

    fn numbered(&self, number: u32) -> PathBuf {
        numbered(&self.path, number)
    }

    /// Makes sure that the path leads to the file that is written to.
    fn look(&mut self) {
        self.looked = Instant::now();
        let vanished = match &mut self.current {
            None => false,
            Some(current) => match platform::look_up(&self.path) {
                Ok((id, length)) if id == current.id => {
                    // Somebody may have emptied it.
                    current.written = length;
                    return;
                }
                Ok(_) => true,
                Err(e) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&e.kind()) => true,
                // It could not be asked: the file is as good as it was.
                Err(_) => return,
            },
        };
        match self.begin() {
            Ok(()) if vanished => drop(self.put(GOES_ON)), // the next line is tried all the same
            Ok(()) => {}
            Err(why) => self.trouble.is(&self.path, &why),
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            platform::create_dir(folder)?;
        }
        let file = platform::append_to(&self.path)?;
        let (id, written) = platform::identify(&file)?;
        self.current = Some(Current { file, id, written, torn: false });
        self.trouble.is_over();
        Ok(())
    }

    /// Where a file cannot be moved (held open by another program on Windows), the current one simply grows on.
    fn rotate(&mut self) {
        for number in (1..self.kept).rev() {
            // Most of them do not exist yet.
            std::fs::rename(self.numbered(number), self.numbered(number + 1)).ok();
        }
        if self.kept > 0 {
            std::fs::rename(&self.path, self.numbered(1)).ok();
        } else {
            std::fs::remove_file(&self.path).ok();
        }
        // Where the next one cannot be made, the next look makes it: a rotation for each line would end all that is kept.
        self.current = None;
        self.look();
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Err(io::ErrorKind::NotFound.into()) };
        let put = match if current.torn { current.file.write_all(b"\n") } else { Ok(()) } {
            Ok(()) => current.file.write_all(line),
            failed => failed,
        };
        match &put {
            Ok(()) => {
                current.written += line.len() as u64 + u64::from(current.torn);
                current.torn = false;
                self.trouble.is_over();
            }
            Err(why) => {
                if let Ok((_, length)) = platform::identify(&current.file) {
                    current.torn |= length > current.written;
                    current.written = length;
                }
                self.trouble.is(&self.path, why);
            }
        }
        put
    }
}

impl Write for Rotating {
    /// Takes the whole line, so that no line is cut by a rotation.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.looked.elapsed() >= LOOK {
            self.look();
        }
        if self.current.as_ref().is_some_and(|c| c.written > 0 && c.written + line.len() as u64 > self.limit) {
            self.rotate();
        }
        self.put(line)?;
        Ok(line.len())
    }

    /// Called again and again while no lines come.
    fn flush(&mut self) -> io::Result<()> {
        self.look();
        self.current.as_mut().map_or(Ok(()), |current| current.file.flush())
    }
}

/// A finished file; 1 is the youngest.
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{number}"));
    name.into()
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
        let mut log = Rotating::open(&home.path().join("a.log"), 20, 2);
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
        let mut log = Rotating::open(&home.path().join("a.log"), 4, 1);
        log.write_all(b"longer than four\n").unwrap();
        assert_eq!(std::fs::read_to_string(home.path().join("a.log")).unwrap(), "longer than four\n");
    }

    #[test]
    fn it_goes_on_where_the_last_process_ended() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("a.log"), "0123456789").unwrap();
        let mut log = Rotating::open(&home.path().join("a.log"), 12, 1);
        log.write_all(b"abc").unwrap();
        assert_eq!(std::fs::read_to_string(home.path().join("a.log.1")).unwrap(), "0123456789");
        assert_eq!(std::fs::read_to_string(home.path().join("a.log")).unwrap(), "abc");
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Windows gives no folder away in which a file is open.
    #[cfg(unix)]
    #[test]
    fn a_file_that_vanishes_comes_back_however_it_went() {
        use std::fs;
        type Way = fn(&Path, &Path);
        let ways: [(&str, Way, bool); 8] = [
            ("deleted", |log, _| fs::remove_file(log).unwrap(), true),
            ("renamed", |log, away| fs::rename(log, away).unwrap(), true),
            ("its folder removed", |log, _| fs::remove_dir_all(log.parent().unwrap()).unwrap(), true),
            ("its folder renamed", |log, away| fs::rename(log.parent().unwrap(), away).unwrap(), true),
            ("replaced", |log, away| fs::write(away, "theirs\n").and_then(|()| fs::rename(away, log)).unwrap(), true),
            (
                "a folder for a file",
                |log, _| fs::remove_dir_all(log.parent().unwrap()).and_then(|()| fs::write(log.parent().unwrap(), "")).unwrap(),
                false,
            ),
            ("a file for a folder", |log, _| fs::remove_file(log).and_then(|()| fs::create_dir(log)).unwrap(), false),
            ("emptied", |log, _| fs::write(log, "").unwrap(), true),
        ];
        for (what, way, comes_back) in ways {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("logs").join("a.log");
            let mut log = Rotating::open(&path, 200, 1);
            log.write_all(b"one\n").unwrap();
            way(&path, &home.path().join("away"));
            log.flush().unwrap();
            assert_eq!(log.trouble().sentence().is_none(), comes_back, "{what}");
            if !comes_back {
                assert!(log.trouble().sentence().unwrap().contains("a.log"), "{what}");
                fs::remove_dir_all(&path).or_else(|_| fs::remove_file(path.parent().unwrap())).unwrap();
                log.flush().unwrap();
            }
            log.write_all(b"two\n").unwrap();
            assert!(read(&path).ends_with("two\n"), "{what}: {}", read(&path));
            assert_eq!(log.trouble().sentence(), None, "{what}");
            assert_eq!(read(&path).contains("goes on here"), what != "emptied", "{what}");
            assert_eq!(log.current.as_ref().unwrap().written, read(&path).len() as u64, "{what}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_told_and_tried_again() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("logs");
        std::fs::write(&folder, "a file in the folder's place").unwrap();
        let mut log = Rotating::open(&folder.join("a.log"), 100, 1);
        let trouble = log.trouble();
        assert!(trouble.sentence().unwrap().contains("a.log"));
        log.write_all(b"lost\n").unwrap_err();
        std::fs::remove_file(&folder).unwrap();
        log.flush().unwrap();
        assert_eq!(trouble.sentence(), None);
        log.write_all(b"kept\n").unwrap();
        assert_eq!(read(&folder.join("a.log")), "kept\n");
    }

    /// Windows keeps a name in which a file is open.
    #[cfg(unix)]
    #[test]
    fn a_next_file_that_cannot_be_made_costs_no_file_that_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.log");
        let mut log = Rotating::open(&path, 8, 3);
        log.write_all(b"first\n").unwrap();
        log.write_all(b"second\n").unwrap();
        // As on a full disk after a rotation.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        log.current = None;
        for _ in 0..9 {
            log.write_all(b"third\n").unwrap_err();
        }
        assert_eq!(read(&home.path().join("a.log.1")), "first\n");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_reads_it_whatever_was_there() {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt};
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("logs");
        let path = folder.join("a.log");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        Rotating::open(&path, 100, 1);
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        Rotating::open(&path, 100, 1);
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
    }
}
