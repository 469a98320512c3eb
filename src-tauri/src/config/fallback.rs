//! A config for whoever must go on although what the user wrote is refused: the last one that was good, else the defaults.
//! What the command line says is never replaced: whoever wrote it reads the refusal. Writes nothing.

use super::{
    error::Error,
    load::{assemble, load, locate},
    sources::Sources,
    types::Config,
};
use crate::files;

/// The config in force, or the next best one with `problem` set.
///
/// # Errors
/// Where the folders cannot be trusted or found, or the command line is wrong.
pub fn load_or_last_good(sources: &Sources<'_>) -> Result<Config, Error> {
    let refused = match load(sources) {
        Ok(config) => return Ok(config),
        Err(e) => e,
    };
    match &refused {
        Error::Distrusted(_) | Error::NoHome => return Err(refused),
        Error::Missing(_) if sources.flags.config_file.is_some() => return Err(refused),
        Error::Invalid { place, .. } if place.starts_with("--") => return Err(refused),
        Error::Missing(_) | Error::Invalid { .. } | Error::Unreadable { .. } => {}
    }
    let (paths, _) = locate(sources)?;
    let read = |file| files::read_to_string(file).ok();
    let texts = [
        (read(&paths.config_file), "the rest of it"),
        (read(&paths.last_good_file()), "the last one that was good"),
        (Some(String::new()), "the defaults"),
    ];
    let without_ours = |name: &str| if name.starts_with("LEEWARD_") { None } else { (sources.env)(name) };
    for env in [sources.env, &without_ours] {
        let tried = Sources { env, flags: sources.flags.clone() };
        for (text, what) in &texts {
            let Some(text) = text else { continue };
            if let Ok((config, _)) = assemble(&tried, paths.clone(), text) {
                let why = refused.to_string();
                let end = if why.ends_with(['.', '?']) { "" } else { "." };
                let problem = format!(
                    "The config is not in force: {why}{end} Leeward goes on with {what}; `leeward config check` lists every error"
                );
                return Ok(Config { problem: Some(problem), ..config });
            }
        }
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;
    use std::fs;

    #[test]
    fn what_is_refused_is_replaced_by_the_next_best_and_says_so() {
        let good = "workers = 3\n";
        for (what, file, last, env, workers, says) in [
            ("all is well", "workers = 5", None, None, Some(5), None),
            ("a typo", "lisen = 1", Some(good), None, Some(3), Some("did you mean `listen`?")),
            ("no good one before", "workers = 0\nlog = 'debug'", None, None, None, Some("with the defaults")),
            ("the good one is bad by now", "workers = 0", Some("[[["), None, None, Some("with the defaults")),
            ("a variable", "workers = 5", Some(good), Some("many"), Some(5), Some("LEEWARD_RETRY_TOTAL")),
            ("a variable and a typo", "lisen = 1", Some(good), Some("many"), Some(3), Some("lisen")),
        ] {
            let home = tempfile::tempdir().unwrap();
            fs::create_dir(home.path().join("state")).unwrap();
            fs::write(home.path().join("config.toml"), file).unwrap();
            if let Some(text) = last {
                fs::write(home.path().join("state/config.last-good.toml"), text).unwrap();
            }
            let lookup = |name: &str| match name {
                "LEEWARD_HOME" => Some(home.path().display().to_string()),
                "LEEWARD_RETRY_TOTAL" => env.map(str::to_owned),
                _ => None,
            };
            let config = load_or_last_good(&Sources { env: &lookup, flags: Flags::default() }).unwrap();
            assert_eq!(config.paths.state_dir, home.path().join("state"), "{what}");
            if let Some(workers) = workers {
                assert_eq!(config.workers, workers, "{what}");
            }
            match says {
                None => assert_eq!(config.problem, None, "{what}"),
                Some(word) => assert!(config.problem.as_ref().unwrap().contains(word), "{what}: {:?}", config.problem),
            }
        }
    }

    #[test]
    fn a_wrong_command_line_is_refused_as_ever() {
        let home = tempfile::tempdir().unwrap();
        let env = |name: &str| (name == "LEEWARD_HOME").then(|| home.path().display().to_string());
        for flags in [
            Flags { listen: Some("nowhere".into()), ..Flags::default() },
            Flags { config_file: Some(home.path().join("missing.toml")), ..Flags::default() },
        ] {
            assert!(load_or_last_good(&Sources { env: &env, flags }).is_err());
        }
    }
}
