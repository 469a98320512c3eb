//! Linux half of autostart. The plugin's desktop entry gets the quotes that the Desktop Entry Specification wants and is
//! moved to where the session looks (Desktop Application Autostart Specification), where it is read.

use super::entry::{Entry, HIDDEN};
use leeward::instance::write_atomically;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file's name, as the plugin gets it.
pub(super) const NAME: &str = "leeward-tray";
const GROUP: &str = "[Desktop Entry]";

pub(super) fn place() -> io::Result<PathBuf> {
    Ok(folders()?.config_dir().join("autostart").join(format!("{NAME}.desktop")))
}

/// Where the plugin puts it, whatever XDG_CONFIG_HOME says.
fn plugins_place() -> io::Result<PathBuf> {
    Ok(folders()?.home_dir().join(".config").join("autostart").join(format!("{NAME}.desktop")))
}

fn folders() -> io::Result<directories::BaseDirs> {
    directories::BaseDirs::new().ok_or_else(|| io::Error::other("there is no home folder"))
}

/// `is_there`: the plugin finds its file. It does not look into it.
pub(super) fn read(file: &Path, is_there: bool) -> io::Result<Entry> {
    if !is_there && file == plugins_place()? {
        return Ok(Entry::Absent);
    }
    match fs::read_to_string(file) {
        Ok(text) => Ok(entry(&text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Entry::Absent),
        Err(e) => Err(io::Error::other(format!("{}: {e}", file.display()))),
    }
}

/// The program as `Exec` wants it.
pub(super) fn spelled(program: &Path) -> io::Result<String> {
    let program = program.to_str().ok_or_else(|| io::Error::other("the program's path is not valid UTF-8"))?;
    if program.contains(char::is_control) {
        return Err(io::Error::other("the program's path has a control character in it"));
    }
    Ok(quoted(program))
}

/// Corrects what the plugin has just written: the program's quotes, the place, and what users read of it.
pub(super) fn mend(file: &Path, program: &str) -> io::Result<()> {
    let written = plugins_place()?;
    let mut text = fs::read_to_string(&written)?;
    for (key, value) in [
        ("Exec", &*format!("{program} {HIDDEN}")),
        ("Name", "Leeward"),
        ("Comment", "Keeps coding agents' connections alive"),
        ("Icon", "leeward-tray"),
        // Its switch, for the desktops that have one of their own.
        ("X-GNOME-Autostart-enabled", "true"),
    ] {
        text = with(&text, key, value);
    }
    // Removed first: both may be one file, by a link.
    fs::remove_file(&written)?;
    if written != file {
        // Only empty folders can be removed so.
        written.ancestors().skip(1).take(2).for_each(|folder| drop(fs::remove_dir(folder)));
    }
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    write_atomically(file, text.as_bytes())
}

/// An entry of one group with another value for a key.
fn with(text: &str, key: &str, value: &str) -> String {
    let other = |line: &&str| line.split_once('=').is_none_or(|(name, _)| name != key);
    let lines: Vec<_> = text.lines().filter(other).collect();
    format!("{}\n{key}={value}\n", lines.join("\n"))
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
#[path = "linux/tests.rs"]
mod tests;
