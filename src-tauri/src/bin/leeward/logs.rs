//! `leeward logs`: the end of the log file, and what is added to it. The file may be rotated meanwhile.

use crate::{
    args, config,
    exit::{Exit, Failure, Outcome},
    out::Out,
};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

/// How much of the file's end is looked through for lines.
const WINDOW: u64 = 4 << 20;
const POLL: Duration = Duration::from_millis(200);

/// Runs `leeward logs`.
pub(crate) fn run(args: &args::Logs, out: &mut Out) -> Outcome {
    let path = config::load_to_ask()?.paths.log_file();
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let message = format!("there is no log at {} yet; Leeward writes it while it serves", path.display());
            return Err(Failure::new(Exit::Unavailable, message));
        }
        Err(e) => return Err(unreadable(&path, &e)),
    };
    let end = tail(&mut file, args.lines).map_err(|e| unreadable(&path, &e))?;
    out.lines(&end)?;
    if !args.follow {
        return Ok(Exit::Ok as i32);
    }
    loop {
        std::thread::sleep(POLL);
        let mut added = Vec::new();
        file.read_to_end(&mut added).map_err(|e| unreadable(&path, &e))?;
        if !added.is_empty() {
            out.lines(&added)?;
        }
        // A rotated log is a new file under the same name; it is shorter than what has been read.
        let read = file.stream_position().map_err(|e| unreadable(&path, &e))?;
        if std::fs::metadata(&path).is_ok_and(|m| m.len() < read)
            && let Ok(new) = File::open(&path)
        {
            file = new;
        }
    }
}

fn unreadable(path: &Path, e: &io::Error) -> Failure {
    Failure::new(Exit::Unavailable, format!("cannot read {}: {e}", path.display()))
}

/// The last lines of a file; leaves the file at its end.
fn tail(file: &mut File, lines: usize) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let ends_open = usize::from(text.last().is_some_and(|b| *b != b'\n'));
    // One line break more than lines is needed to find where the first of them begins.
    let wanted = (lines + 1).saturating_sub(ends_open);
    let start = match lines {
        0 => text.len(),
        _ => memchr::memrchr_iter(b'\n', &text).nth(wanted - 1).map_or(0, |at| at + 1),
    };
    Ok(text.split_off(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for (text, lines, expected) in [
            ("", 3, ""),
            ("a\n", 3, "a\n"),
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\nc\n", 3, "a\nb\nc\n"),
            ("a\nb\n", 0, ""),
            ("\n\n\n", 2, "\n\n"),
        ] {
            std::fs::write(&path, text).unwrap();
            let mut file = File::open(&path).unwrap();
            assert_eq!(String::from_utf8(tail(&mut file, lines).unwrap()).unwrap(), expected, "{text:?} {lines}");
        }
    }
}
