//! Everything that is wrong with a config, where loading stops at the first fault. Reads, changes nothing.
//!
//! Each fault that was found is masked and the rest looked at again. Where masking would itself break the file, it stops: a
//! list that is too short is better than a fault that is none.

use super::{
    error::Error,
    load::{assemble, locate, read},
    paths::Paths,
    sources::Sources,
};
use std::collections::BTreeSet;

/// More than anybody mends at once.
const MOST: usize = 20;

/// One sentence a fault, in the order in which they are met, and where the files are, as far as they can be found.
pub fn complaints(sources: &Sources<'_>) -> (Vec<String>, Option<Paths>) {
    let paths = locate(sources).ok().map(|(paths, _)| paths);
    let (found, text) = match read(sources) {
        Ok((found, text)) => (found, text.unwrap_or_default()),
        Err(e) => return (vec![e.to_string()], paths),
    };
    (all(sources, &found, text), paths)
}

fn all(sources: &Sources<'_>, paths: &Paths, mut text: String) -> Vec<String> {
    let mut said = Vec::new();
    let mut masked = BTreeSet::new();
    while said.len() < MOST {
        let env = |name: &str| if masked.contains(name) { None } else { (sources.env)(name) };
        let now = Sources { env: &env, flags: sources.flags.clone() };
        let Err(e) = assemble(&now, paths.clone(), &text) else { break };
        let sentence = e.to_string();
        if said.contains(&sentence) {
            break;
        }
        said.push(sentence);
        let Error::Invalid { place, .. } = e else { break };
        match line_of(&place, paths) {
            Some(line) => match without_line(&text, line) {
                Some(shorter) => text = shorter,
                None => break,
            },
            None if (sources.env)(&place).is_some() => {
                masked.insert(place);
            }
            None => break,
        }
    }
    said
}

/// The line that a place of the file names.
fn line_of(place: &str, paths: &Paths) -> Option<usize> {
    let rest = place.strip_prefix(&paths.config_file.display().to_string())?.strip_prefix(':')?;
    rest.split(':').next()?.parse().ok()
}

/// The text with an empty line in its place, so that the others keep their numbers; `None` where that is no TOML.
fn without_line(text: &str, line: usize) -> Option<String> {
    let lines = text.lines().enumerate().map(|(at, text)| if at + 1 == line { "" } else { text });
    let masked = lines.collect::<Vec<_>>().join("\n");
    (masked != text && masked.parse::<toml::Table>().is_ok()).then_some(masked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    #[test]
    fn every_fault_is_named_with_its_place() {
        let home = tempfile::tempdir().unwrap();
        let of = |text: &str, variables: &[(&str, &str)]| {
            std::fs::write(home.path().join("config.toml"), text).unwrap();
            let env = |name: &str| {
                let own = variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
                own.or_else(|| (name == "LEEWARD_HOME").then(|| home.path().display().to_string()))
            };
            complaints(&Sources { env: &env, flags: Flags::default() })
        };
        assert_eq!(of("workers = 2\n", &[]).0, [""; 0]);
        let (found, paths) =
            of("workers = 0\nlisen = 'x'\nupstream = 'api'\n[retry]\ntotal = 7\n", &[("LEEWARD_RETRY_BASE", "soon")]);
        assert_eq!(paths.unwrap().config_file, home.path().join("config.toml"));
        for place in ["toml:1", "toml:2", "toml:3", "toml:5", "LEEWARD_RETRY_BASE"] {
            assert_eq!(found.iter().filter(|f| f.contains(place)).count(), 1, "{place}: {found:?}");
        }
        assert_eq!(of("= 1\nworkers = 0\n", &[]).0.len(), 2, "both lines");
        assert_eq!(of("workers = [\n0,\n]\n", &[]).0.len(), 1, "a value of several lines is not cut in two");
    }
}
