//! `leeward config`, and how every command gets its config.

use crate::{
    args,
    exit::{Exit, Failure, Outcome},
    out::{Out, say},
};
use leeward::{
    config::{self, Config, Flags, ProxyChoice, Settings, Sources, StandIn},
    instance,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The config as the user wrote it: file, environment and, where given, `--config`. Its paths are those of the instance that
/// serves.
pub(crate) fn load(file: Option<PathBuf>) -> Outcome<Config> {
    let config = config::load(&sources(file))?;
    Ok(kept_in(instance::serving_stand_in(&config.paths), config))
}

/// For commands that only ask the instance that serves: whatever the config is worth, they find it.
pub(crate) fn load_to_ask() -> Outcome<Config> {
    let config = config::load_or_last_good(&sources(None))?;
    Ok(kept_in(instance::serving_stand_in(&config.paths), config))
}

/// The same for whoever starts an instance where none serves, and reports a problem.
pub(crate) fn load_to_start() -> Outcome<Config> {
    let config = config::load_or_last_good(&sources(None))?;
    tell(&config);
    Ok(kept_in(instance::place(&config.paths), config))
}

/// What of the user's words is not in force.
pub(crate) fn tell(config: &Config) {
    for problem in config.problem.iter().cloned().chain(config::unknown_variables(config::environment_names())) {
        say(format!("warning: {problem}"));
    }
}

/// The config for whoever examines it: valid or not, with everything that is wrong.
pub(crate) struct Examined {
    pub(crate) config: Result<Config, config::Error>,
    pub(crate) complaints: Vec<String>,
    pub(crate) paths: Option<config::Paths>,
}

/// Looks at the config without refusing it.
pub(crate) fn examine() -> Examined {
    let sources = sources(None);
    let complaints = config::errors(&sources).iter().map(ToString::to_string).collect();
    let config = config::load(&sources).map(|config| kept_in(instance::serving_stand_in(&config.paths), config));
    let paths = config.as_ref().map(|config| config.paths.clone()).ok().or_else(|| config::paths(&sources));
    Examined { config, complaints, paths }
}

/// Whether an agent is refused that cannot run behind Leeward, whatever the config is worth.
pub(crate) fn requires_wrap() -> bool {
    config::requires_wrap(&sources(None))
}

/// What `serve` reads now and at each reload: always with the same state folder.
pub(crate) fn settings(mut flags: Flags, state: Option<PathBuf>) -> Outcome<(Arc<Settings>, Config)> {
    let settings = Settings::new(flags.clone());
    let config = settings.load_to_start()?;
    let of = config.paths.state_dir.clone();
    flags.stand_in = match state {
        Some(folder) => Some(StandIn { folder, of, why: instance::why_unusable(&config.paths) }),
        None => instance::place(&config.paths),
    };
    if flags.stand_in.is_none() {
        return Ok((Arc::new(settings), config));
    }
    let settings = Settings::new(flags);
    let config = settings.load_to_start()?;
    Ok((Arc::new(settings), config))
}

fn sources(file: Option<PathBuf>) -> Sources<'static> {
    Sources { env: &config::environment, flags: Flags { config_file: file, ..Flags::default() } }
}

fn kept_in(stand_in: Option<StandIn>, config: Config) -> Config {
    match stand_in {
        Some(stand_in) => Config { paths: config.paths.in_memory(stand_in), ..config },
        None => config,
    }
}

/// Runs `leeward config`.
pub(crate) fn run(args: args::Config, out: &mut Out) -> Outcome {
    match args {
        args::Config::Path => out.line(file_in_force()?.display().to_string())?,
        args::Config::Show { template: true } => out.script(config::default_file())?,
        args::Config::Show { template: false } => out.script(as_file(&load(None)?))?,
        args::Config::Check { file } => check(file, out)?,
        args::Config::Schema => out.line(format!("{:#}", config::schema()))?,
    }
    Ok(Exit::Ok as i32)
}

/// The path alone must be shown even when the file is broken.
fn file_in_force() -> Outcome<PathBuf> {
    if let Some(file) = config::environment("LEEWARD_CONFIG") {
        return Ok(file.into());
    }
    let paths = match config::environment("LEEWARD_HOME").filter(|v| !v.is_empty()) {
        Some(home) => Some(config::Paths::under(Path::new(&home))),
        None => config::Paths::of_platform(),
    };
    Ok(paths.ok_or(config::Error::NoHome)?.config_file)
}

fn check(file: Option<PathBuf>, out: &mut Out) -> Outcome<()> {
    let errors = config::errors(&sources(file.clone()));
    let unknown = config::unknown_variables(config::environment_names());
    let all: Vec<_> = errors.iter().map(ToString::to_string).chain(unknown).collect();
    if !all.is_empty() {
        all.iter().for_each(say);
        return Err(Failure::new(Exit::ConfigInvalid, ""));
    }
    let config = load(file)?;
    let path = config.paths.config_file;
    if path.exists() {
        out.line(format!("{} is valid", path.display()))?;
    } else {
        out.line(format!("there is no {}; the defaults are in force", path.display()))?;
    }
    Ok(())
}

/// A config file that loads to the very same config; secrets are left out.
fn as_file(config: &Config) -> String {
    let file = config::written(config);
    let secret = if config.client_token.is_some() { "# client_token is set and not shown\n" } else { "" };
    let login = matches!(&config.proxy.url, ProxyChoice::Named(proxy) if proxy.login.is_some());
    let login = if login { "# the user and password of proxy.url are set and not shown\n" } else { "" };
    format!("{secret}{login}{file}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::Table;

    #[test]
    fn what_is_shown_loads_to_the_same_config() {
        let home = tempfile::tempdir().unwrap();
        let text = "listen = '127.0.0.1:9'\nworkers = 3\nclient_token = 'hush-of-the-tests'\n[retry]\nbudget = 0.1\ntotal = '90s'\n[limits]\n\
                    header_bytes = 70001\n[upstreams]\nmine = 'https://x.example/y'";
        std::fs::write(home.path().join("config.toml"), text).unwrap();
        let config = Config::under(home.path()).unwrap();
        let shown = as_file(&config);
        assert!(!shown.contains("hush") && shown.contains("client_token is set"), "{shown}");
        std::fs::write(home.path().join("config.toml"), &shown).unwrap();
        let again = Config::under(home.path()).unwrap();
        assert_eq!(Config { client_token: None, ..config }, again);
    }

    #[test]
    fn the_login_of_a_company_proxy_is_not_shown() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), "[proxy]\nurl = 'http://me:hush@gate.corp:3128'").unwrap();
        let shown = as_file(&Config::under(home.path()).unwrap());
        assert!(shown.contains("http://gate.corp:3128") && shown.contains("are set and not shown"), "{shown}");
        assert!(!shown.contains("hush") && !shown.contains("me:"), "{shown}");
    }

    #[test]
    fn every_key_of_the_schema_is_shown() {
        let home = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = rcgen::CertificateParams::new(vec!["me".into()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(home.path().join("both.pem"), cert.pem() + &key.serialize_pem()).unwrap();
        let file = home.path().join("both.pem").display().to_string();
        let set = format!("extra_ca = '{file}'\n[tls]\nclient_cert = '{file}'\nclient_key = '{file}'\n");
        std::fs::write(home.path().join("config.toml"), set).unwrap();
        let shown: Table = as_file(&Config::under(home.path()).unwrap()).parse().unwrap();
        let template = config::default_file();
        let mut section = String::new();
        for line in template.lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']').to_owned();
            } else if let Some((key, _)) = line.strip_prefix("# ").and_then(|l| l.split_once(" = "))
                && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
                // These have no value unless somebody sets one.
                && !["upstreams", "modes"].contains(&section.as_str())
                && key != "client_token"
            {
                let found = if section.is_empty() { shown.get(key) } else { shown.get(&section).and_then(|s| s.get(key)) };
                assert!(found.is_some(), "[{section}] {key} is not shown");
            }
        }
    }
}
