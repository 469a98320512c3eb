//! Everything that is wrong with a config, at once: each thing that is refused is left out, and the rest is looked at again.

use super::{
    definition,
    error::Error,
    load::{assemble, read},
    sources::Sources,
};
use std::collections::BTreeSet;

/// More than this is not a config with errors, but another kind of file.
const MOST: usize = 50;
/// Variables that are no keys.
const OTHERS: [&str; 3] = ["LEEWARD_HOME", "LEEWARD_CONFIG", "LEEWARD_DEBUGGABLE"];

/// Every error of the config, in the order of its lines; empty when it is good.
pub fn errors(sources: &Sources<'_>) -> Vec<Error> {
    let (paths, text) = match read(sources) {
        Ok((paths, text)) => (paths, text.unwrap_or_default()),
        Err(e) => return vec![e],
    };
    let mut found: Vec<Error> = Vec::new();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut without: BTreeSet<String> = BTreeSet::new();
    while found.len() < MOST {
        let now = lines.join("\n");
        let hidden = |name: &str| if without.contains(name) { None } else { (sources.env)(name) };
        let tried = Sources { env: &hidden, flags: sources.flags.clone() };
        let Err(e) = assemble(&tried, paths.clone(), &now) else { break };
        if found.iter().any(|known| known.to_string() == e.to_string()) {
            break;
        }
        let goes_on = match &e {
            Error::Invalid { place, .. } => match line_of(place, &paths.config_file.display().to_string()) {
                Some(line) => blank(&mut lines, line),
                None => place.starts_with("LEEWARD_") && without.insert(place.clone()),
            },
            _ => false,
        };
        found.push(e);
        if !goes_on {
            break;
        }
    }
    let file = paths.config_file.display().to_string();
    found.sort_by_key(|e| match e {
        Error::Invalid { place, .. } => line_of(place, &file).unwrap_or(usize::MAX),
        _ => 0,
    });
    found
}

/// The line, from 1, that a place in the file names.
fn line_of(place: &str, file: &str) -> Option<usize> {
    let rest = place.strip_prefix(file)?.strip_prefix(':')?;
    rest.split(':').next()?.parse().ok()
}

/// Leaves a line out, and what follows it of the same value or table; false where there is nothing to leave out.
fn blank(lines: &mut [String], line: usize) -> bool {
    let is_toml = |lines: &[String]| lines.join("\n").parse::<toml::Table>().is_ok();
    let was_toml = is_toml(lines);
    let Some(first) = lines.get_mut(line.saturating_sub(1)).filter(|text| !text.trim().is_empty()) else { return false };
    let is_header = |text: &str| text.trim_start().starts_with('[');
    let is_table = is_header(first);
    first.clear();
    for at in line..lines.len() {
        // A table's keys would be another's, and a value over several lines leaves its rest behind.
        let ends = if is_table { lines.get(at).is_none_or(|text| is_header(text)) } else { !was_toml || is_toml(lines) };
        if ends {
            break;
        }
        if let Some(next) = lines.get_mut(at) {
            next.clear();
        }
    }
    true
}

/// Variables that begin as Leeward's do and are none of them, each in a sentence with the nearest one.
pub fn unknown_variables(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let known: Vec<String> =
        definition::keys().filter_map(|key| key.variable()).chain(OTHERS.iter().map(|name| (*name).to_owned())).collect();
    let mut wrong: Vec<String> = names.into_iter().filter(|name| name.starts_with("LEEWARD_") && !known.contains(name)).collect();
    wrong.sort();
    // A slip of two letters, and no word that only begins alike.
    let near = |name: &str| {
        let distance = |other: &String| strsim::osa_distance(other, name);
        known.iter().min_by_key(|other| distance(other)).filter(|best| distance(best) <= 2)
    };
    let told = wrong.iter().filter_map(|name| Some((name, near(name)?)));
    told.map(|(name, best)| format!("there is no variable {name}; did you mean {best}?")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    fn found(file: &str, env: &[(&str, &str)]) -> Vec<String> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), file).unwrap();
        let lookup = |name: &str| match name {
            "LEEWARD_HOME" => Some(home.path().display().to_string()),
            _ => env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
        };
        let all = errors(&Sources { env: &lookup, flags: Flags::default() });
        let file = home.path().join("config.toml").display().to_string();
        all.iter().map(|e| e.to_string().replace(&file, "FILE")).collect()
    }

    #[test]
    fn every_error_is_found_with_its_line() {
        let file = "lisen = 1\nworkers = 0\nupstream = 'api.anthropic.com'\nallowed_hosts = [\n  '/',\n]\n[retry]\ntotal = 7\nbase = '9s'\n[nowhere]\nx = 1\n";
        let all = found(file, &[("LEEWARD_LIMITS_CONNECTIONS", "many")]);
        for (place, word) in [
            ("FILE:1:1", "did you mean `listen`?"),
            ("FILE:2: workers", "at least 1"),
            ("FILE:3: upstream", "is not a URL"),
            ("FILE:4: allowed_hosts", ""),
            ("FILE:8:9", "string"),
            ("FILE:9: retry.base", "longer than the longest one"),
            ("FILE:10:2", "nowhere"),
            ("LEEWARD_LIMITS_CONNECTIONS", ""),
        ] {
            assert!(all.iter().any(|e| e.starts_with(place) && e.contains(word)), "{place} {word}: {all:#?}");
        }
        assert_eq!(all.len(), 8, "{all:#?}");
    }

    #[test]
    fn a_good_one_has_none_and_what_is_no_config_ends_somewhere() {
        assert_eq!(found("workers = 3\n[retry]\ntotal = '9s'", &[]), [""; 0]);
        let nonsense = "= [\n".repeat(500);
        assert!((1..=MOST).contains(&found(&nonsense, &[]).len()));
        assert_eq!(found("[[[", &[]).len(), 1);
    }

    #[test]
    fn a_misspelt_variable_is_told_with_the_nearest_one() {
        let names = ["LEEWARD_LISEN", "LEEWARD_LISTEN", "LEEWARD_HOME", "PATH", "LEEWARD_BIN", "LEEWARD_RETRY_TOTALS"];
        let told = unknown_variables(names.map(str::to_owned));
        assert_eq!(
            told,
            [
                "there is no variable LEEWARD_LISEN; did you mean LEEWARD_LISTEN?",
                "there is no variable LEEWARD_RETRY_TOTALS; did you mean LEEWARD_RETRY_TOTAL?"
            ]
        );
    }
}
