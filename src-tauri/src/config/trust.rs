//! Whose the folders and files are that a config comes from, and whether others can read what is secret in them.
//!
//! Asks the system and decides; changes nothing. A folder that others can change is refused before anything in it is
//! believed: its record leads to a port, its config names an upstream, its links lead into the user's own files.

#[cfg(unix)]
#[path = "trust/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "trust/windows.rs"]
mod platform;

use super::{distrust::Distrust, error::Error, paths::Paths, types::Config};
use crate::files;
use std::path::{Path, PathBuf};
use url::Url;

/// Refuses folders and a config file that others can change. Of a file that the user `named`, the folder is nobody's business:
/// whoever replaces the file there is its owner then.
pub(super) fn check(paths: &Paths, named: bool) -> Result<(), Error> {
    let folder = paths.config_file.parent().filter(|_| !named).map(here);
    if let Some(folder) = folder {
        refuse("the config folder", folder, platform::distrust(folder, true))?;
    }
    refuse("the config file", &paths.config_file, platform::distrust(&paths.config_file, false))?;
    refuse("the state folder", &paths.state_dir, platform::distrust(&paths.state_dir, false))
}

/// The folder of a bare name.
fn here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn refuse(what: &str, path: &Path, distrust: Option<Distrust>) -> Result<(), Error> {
    let Some(distrust) = distrust else { return Ok(()) };
    let place = path.display();
    let why = match distrust {
        Distrust::Foreign { owner } => {
            format!("{what} {place} belongs to another user ({owner}), who can change what Leeward does")
        }
        Distrust::Writable => format!("other users can write to {what} {place}, and so change what Leeward does"),
    };
    let mend = platform::mend(path, distrust);
    Err(Error::Distrusted(format!("{why}; look at what is in it and run `{mend}`, or set LEEWARD_HOME to a folder of your own")))
}

/// What is secret and can be read by other users, in a sentence; `None` when all is well.
pub fn exposed(config: &Config) -> Option<String> {
    let file = &config.paths.config_file;
    let text = files::read_to_string(file).unwrap_or_default();
    let key = config.tls.client.as_ref().map(|client| client.key.clone());
    let secrets = holds_a_secret(&text).then(|| file.clone()).into_iter().chain(key);
    let open: Vec<PathBuf> = secrets.filter(|path| platform::is_readable_by_others(path)).collect();
    let first = open.first()?;
    let names = open.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ");
    let mend = open.iter().map(|path| platform::hide(path)).collect::<Vec<_>>().join("` and `");
    let holds = if open.len() == 1 && first != file { "a private key" } else { "secrets" };
    Some(format!("Other users can read {holds} in {names}; run `{mend}`."))
}

/// Whether the text of a config has a token, or a URL with a password.
fn holds_a_secret(text: &str) -> bool {
    fn secret(value: &toml::Value) -> bool {
        match value {
            toml::Value::String(text) => Url::parse(text).is_ok_and(|url| url.password().is_some()),
            toml::Value::Array(values) => values.iter().any(secret),
            toml::Value::Table(values) => values.iter().any(|(_, value)| secret(value)),
            _ => false,
        }
    }
    text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("client_token") || table.values().any(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_passwords_are_secrets() {
        for (text, secret) in [
            ("client_token = '0123456789abcdef'", true),
            ("[proxy]\nurl = 'http://me:hush@proxy:3128'", true),
            ("[proxy]\nurl = 'http://proxy:3128'", false),
            ("[proxy]\nurl = 'http://me@proxy:3128'", false),
            ("upstream = 'https://api.example'", false),
            ("[upstreams]\na = 'https://me:hush@api.example'", true),
            ("", false),
            ("nonsense = [", false),
        ] {
            assert_eq!(holds_a_secret(text), secret, "{text}");
        }
    }
}
