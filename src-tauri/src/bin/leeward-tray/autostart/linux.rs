//! Linux half of autostart: a desktop entry in the user's autostart folder (Desktop Application Autostart
//! Specification), quoted as the Desktop Entry Specification wants it.

use super::Entry;
use leeward::instance::write_atomically;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const GROUP: &str = "[Desktop Entry]";

pub(super) fn place() -> io::Result<PathBuf> {
    let dirs = directories::BaseDirs::new().ok_or_else(|| io::Error::other("there is no home folder"))?;
    Ok(dirs.config_dir().join("autostart").join("leeward-tray.desktop"))
}

pub(super) fn read(file: &Path) -> io::Result<Entry> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(entry(&text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Entry::Absent),
        Err(e) => Err(io::Error::other(format!("{}: {e}", file.display()))),
    }
}

pub(super) fn write(file: &Path, program: &Path) -> io::Result<()> {
    let program = program.to_str().ok_or_else(|| io::Error::other("the program's path is not valid UTF-8"))?;
    if program.contains(char::is_control) {
        return Err(io::Error::other("the program's path has a control character in it"));
    }
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    let text = format!(
        "{GROUP}\nType=Application\nName=Leeward\nComment=Keeps coding agents' connections alive\nIcon=leeward-tray\n\
         Exec={} --hidden\nTerminal=false\nStartupNotify=false\nX-GNOME-Autostart-enabled=true\n",
        quoted(program)
    );
    write_atomically(file, text.as_bytes())
}

pub(super) fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn entry(text: &str) -> Entry {
    let lines = text.lines().map(str::trim).skip_while(|line| *line != GROUP).skip(1).take_while(|line| !line.starts_with('['));
    let keys: Vec<(&str, &str)> = lines.filter_map(|l| l.split_once('=')).map(|(k, v)| (k.trim(), v.trim())).collect();
    let value = |name: &str| keys.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let is = |name, what: &str| value(name).is_some_and(|value| value.eq_ignore_ascii_case(what));
    // Hidden is how a session says "deleted"; GNOME and Xfce have a key of their own.
    if is("Hidden", "true") || is("X-GNOME-Autostart-enabled", "false") {
        return Entry::SwitchedOff;
    }
    value("Exec").and_then(first_word).map_or(Entry::Absent, Entry::Starts)
}

/// As an argument of `Exec`: quoted, with the characters escaped that are special within quotes; then, as every value of
/// the file, its backslashes once more. A percent sign would begin a field code.
fn quoted(word: &str) -> String {
    let mut text = String::from("\"");
    for letter in word.chars() {
        match letter {
            '"' | '`' | '$' => text.extend(["\\\\".to_owned(), letter.to_string()]),
            '\\' => text.push_str("\\\\\\\\"),
            '%' => text.push_str("%%"),
            other => text.push(other),
        }
    }
    text + "\""
}

/// The program of an `Exec` line.
fn first_word(value: &str) -> Option<String> {
    // The file's own escapes first.
    let mut plain = String::new();
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next()? {
                's' => ' ',
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                other => other,
            },
            other => other,
        });
    }
    let (mut word, mut within) = (String::new(), false);
    let mut letters = plain.trim_start().chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => within = !within,
            '\\' if within => word.push(letters.next()?),
            '%' if letters.next_if_eq(&'%').is_some() => word.push('%'),
            blank if blank.is_whitespace() && !within => break,
            other => word.push(other),
        }
    }
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [&str; 5] =
        ["/usr/bin/leeward-tray", "/opt/a dir/leeward tray", r#"/opt/"quoted" $HOME `x`/t"#, r"/opt/back\slash/t", "/opt/100%/t"];

    #[test]
    fn whatever_the_path_it_is_read_back_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("not yet").join("leeward-tray.desktop");
        assert_eq!(read(&file).unwrap(), Entry::Absent);
        for path in PATHS {
            write(&file, Path::new(path)).unwrap();
            assert_eq!(read(&file).unwrap(), Entry::Starts(path.into()));
        }
        assert!(write(&file, Path::new("/opt/two\nlines")).is_err(), "a line break would be an entry of its own");
        remove(&file).unwrap();
        remove(&file).unwrap();
        assert_eq!(read(&file).unwrap(), Entry::Absent);
    }

    /// The specification's quoting is a part of the shell's, so a shell must read the same words.
    #[test]
    fn a_shell_reads_the_same_path() {
        for path in PATHS.into_iter().filter(|path| !path.contains('%')) {
            // What the file's own escapes leave behind.
            let exec = quoted(path).replace("\\\\", "\\");
            let said = std::process::Command::new("sh").args(["-c", &format!("printf %s {exec}")]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&said.stdout), path);
        }
        assert_eq!(quoted("/a/100%"), "\"/a/100%%\"");
    }

    #[test]
    fn a_switch_in_the_desktops_settings_is_seen() {
        for off in ["Hidden=true", "Hidden = True", "X-GNOME-Autostart-enabled=false"] {
            assert_eq!(entry(&format!("# x\n[Desktop Entry]\nExec=/bin/x\n{off}\n")), Entry::SwitchedOff, "{off}");
        }
        assert_eq!(entry("[Desktop Entry]\nExec=/bin/x --hidden\n[Other]\nHidden=true\n"), Entry::Starts("/bin/x".into()));
        assert_eq!(entry("Hidden=true\n[Desktop Entry]\nExec=x"), Entry::Starts("x".into()));
        for damaged in ["", "[Desktop Entry]\n", "[Desktop Entry]\nExec=\n", "[Desktop Entry]\nExec=\\"] {
            assert_eq!(entry(damaged), Entry::Absent, "{damaged}");
        }
    }
}
