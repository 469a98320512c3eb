//! Reads file, environment and flags, and turns them into a checked `Config`. Nothing is written here.

use super::{
    check::check,
    definition::{RENAMED, Raw, keys},
    error::{Error, Origin},
    key::{Key, variable},
    paths::Paths,
    sources::{Flags, Sources},
    trust,
    types::Config,
};
use crate::files;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

impl Config {
    /// The defaults with every file below `home`; a `config.toml` there is read, the environment is not.
    ///
    /// # Errors
    /// As `load`.
    pub fn under(home: &Path) -> Result<Self, Error> {
        let env = |name: &str| (name == "LEEWARD_HOME").then(|| home.display().to_string());
        load(&Sources { env: &env, flags: Flags::default() })
    }
}

/// Loads the config; see the module's first lines for the order.
///
/// # Errors
/// `Error` with a sentence for the user; exit code 78 in the CLI.
pub fn load(sources: &Sources<'_>) -> Result<Config, Error> {
    let (paths, text) = read(sources)?;
    Ok(assemble(sources, paths, text.as_deref().unwrap_or_default())?.0)
}

/// Where the files are, as far as that can be found.
pub fn paths(sources: &Sources<'_>) -> Option<Paths> {
    locate(sources).ok().map(|(paths, _)| paths)
}

/// Where the files are, and whether the config file was named and so must exist.
pub(super) fn locate(sources: &Sources<'_>) -> Result<(Paths, bool), Error> {
    let mut paths = match (sources.env)("LEEWARD_HOME").filter(|v| !v.is_empty()) {
        Some(home) => Paths::under(Path::new(&home)),
        None => Paths::of_platform().ok_or(Error::NoHome)?,
    };
    let named = sources.flags.config_file.clone().or_else(|| (sources.env)("LEEWARD_CONFIG").map(PathBuf::from));
    let must_exist = named.is_some();
    if let Some(file) = named {
        paths.config_file = file;
    }
    if let Some(stand_in) = sources.flags.stand_in.clone() {
        paths = paths.in_memory(stand_in);
    }
    Ok((paths, must_exist))
}

/// Finds the file and reads it; `None` where there is none and none was named.
pub(super) fn read(sources: &Sources<'_>) -> Result<(Paths, Option<String>), Error> {
    let (paths, must_exist) = locate(sources)?;
    trust::check(&paths, must_exist)?;
    let file = paths.config_file.clone();
    let text = match files::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !must_exist => None,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Error::Missing(file)),
        Err(why) => return Err(Error::Unreadable { path: file, why }),
    };
    Ok((paths, text))
}

/// The config that a file with this text makes, and the keys that its text does not decide, by who does: `--listen`,
/// `LEEWARD_LISTEN`.
pub(super) fn assemble(sources: &Sources<'_>, paths: Paths, text: &str) -> Result<(Config, BTreeMap<String, String>), Error> {
    let file = paths.config_file.clone();
    let mut raw = parse(text, &file)?;
    let origin = Origin { file: &file, text, overlay: overlay(sources) };
    overlay_environment(&mut raw, sources.env)?;
    for (key, flag) in flags(sources) {
        set(&mut raw, key, toml::Value::String(flag.clone())).map_err(|message| Error::Invalid {
            place: format!("--{key}"),
            message,
            key: Some(key.into()),
        })?;
    }
    let config = check(raw, sources, paths, &origin)?;
    Ok((config, origin.overlay))
}

/// The keys that the command line sets.
fn flags<'s>(sources: &'s Sources<'_>) -> impl Iterator<Item = (&'static str, &'s String)> {
    let flags = [("listen", &sources.flags.listen), ("upstream", &sources.flags.upstream)];
    flags.into_iter().filter_map(|(key, flag)| Some((key, flag.as_ref()?)))
}

/// What the environment says of a key, and the variable's name.
fn said(key: &Key, env: &dyn Fn(&str) -> Option<String>) -> Option<(String, String)> {
    let variable = key.variable()?;
    env(&variable).filter(|v| !v.is_empty()).map(|value| (variable, value))
}

/// The keys that the environment or the command line decides, each with the variable or flag that does.
pub(super) fn overlay(sources: &Sources<'_>) -> BTreeMap<String, String> {
    let mut overlay: BTreeMap<_, _> = keys().filter_map(|key| Some((key.name(), said(key, sources.env)?.0))).collect();
    overlay.extend(flags(sources).map(|(key, _)| (key.into(), format!("--{key}"))));
    overlay
}

/// Parses the text of a config file; unknown keys name their nearest relative.
pub(super) fn parse(text: &str, file: &Path) -> Result<Raw, Error> {
    toml::from_str(text).map_err(|e| {
        let (line, column) = e.span().map_or((1, 1), |s| position(text, s.start));
        let (place, message) = (format!("{}:{line}:{column}", file.display()), explain(e.message()));
        // A key that there is not is named by the message.
        match key_at(text, line).filter(|_| e.message().starts_with("invalid ")) {
            Some(key) => Error::Invalid { place, message: format!("{key}: {message}"), key: Some(key) },
            None => Error::Invalid { place, message, key: None },
        }
    })
}

/// The dotted key that is set on this line.
fn key_at(text: &str, line: usize) -> Option<String> {
    let mut section = "";
    for (index, line_text) in text.lines().map(str::trim).enumerate() {
        if let Some(name) = line_text.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim();
        }
        if index + 1 == line {
            let (leaf, _) = line_text.split_once('=')?;
            let leaf = leaf.trim().trim_matches(['"', '\'']);
            return Some(if section.is_empty() { leaf.to_owned() } else { format!("{section}.{leaf}") });
        }
    }
    None
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// Turns serde's "unknown field `x`, expected one of …" into a sentence with the nearest key.
pub(super) fn explain(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else { return in_words(message.trim()) };
    let Some((unknown, rest)) = rest.split_once('`') else { return message.to_owned() };
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let leaf = |key: &'static str| key.rsplit('.').next().unwrap_or(key);
    if let Some((old, new)) = RENAMED.iter().find(|(old, new)| leaf(old) == unknown && known.contains(&leaf(new))) {
        return format!("`{old}` is called `{new}` now");
    }
    match known.iter().max_by(|a, b| strsim::jaro_winkler(a, unknown).total_cmp(&strsim::jaro_winkler(b, unknown))) {
        Some(best) if strsim::jaro_winkler(best, unknown) > 0.6 => {
            format!("there is no key `{unknown}`; did you mean `{best}`?")
        }
        _ => format!("there is no key `{unknown}` here; known keys are {}", known.join(", ")),
    }
}

/// A message of serde's without the names of Rust's types.
fn in_words(message: &str) -> String {
    match message.rsplit_once("expected ") {
        Some((before, "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64")) => format!("{before}expected a whole number"),
        Some((before, "f32" | "f64")) => format!("{before}expected a number"),
        _ => message.to_owned(),
    }
}

/// `LEEWARD_RETRY_TOTAL=30s` sets `retry.total`.
fn overlay_environment(raw: &mut Raw, env: &dyn Fn(&str) -> Option<String>) -> Result<(), Error> {
    for (old, new) in RENAMED {
        let place = variable(old);
        if env(&place).is_some_and(|v| !v.is_empty()) {
            return Err(Error::Invalid { place, message: format!("this variable is called {} now", variable(new)), key: None });
        }
    }
    for key in keys() {
        let Some((place, value)) = said(key, env) else { continue };
        // A value that is valid TOML keeps its type (200, ["a"]); anything else is a string ("30s", "info").
        let typed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut t| t.remove("v"));
        let done = typed.is_some_and(|typed| set(raw, &key.name(), typed).is_ok());
        if !done {
            set(raw, &key.name(), toml::Value::String(value)).map_err(|message| Error::Invalid {
                place,
                message,
                key: Some(key.name()),
            })?;
        }
    }
    Ok(())
}

/// Sets one key, if the value is of its type.
fn set(raw: &mut Raw, key: &str, value: toml::Value) -> Result<(), String> {
    let mut table = toml::Table::try_from(&*raw).map_err(|e| e.to_string())?;
    insert(&mut table, key, value);
    *raw = table.try_into().map_err(|e: toml::de::Error| explain(e.message()))?;
    Ok(())
}

fn insert(table: &mut toml::Table, key: &str, value: toml::Value) {
    match key.split_once('.') {
        Some((section, rest)) => {
            let entry = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let Some(inner) = entry.as_table_mut() {
                insert(inner, rest, value);
            }
        }
        None => {
            table.insert(key.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests;
