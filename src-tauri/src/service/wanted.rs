//! What a service is to run: which program, where it listens, and which variables it needs to find the same files. Reads the
//! environment through `config`; writes nothing.

use super::error::Error;
use crate::config::{Config, environment};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The line by which a file of ours is known.
pub(super) const MARK: &str = "Written by `leeward service install`; `leeward service uninstall` removes it.";

/// Whether a text was written by an `install`.
pub(super) fn is_ours(text: &str) -> bool {
    text.contains(MARK)
}

/// Variables that say where the config is: a service manager does not have those of a shell's profile.
const CARRIED: [&str; 3] = ["LEEWARD_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"];

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The program.
    pub program: PathBuf,
    /// Where it listens; the manager holds that address where it can.
    pub listen: SocketAddr,
    /// Variables that it gets.
    pub variables: Vec<(String, String)>,
}

impl Wanted {
    /// Of this program and config, with the variables that say where the config is.
    ///
    /// # Errors
    /// `Unspellable` where the program or its config cannot be named in a file.
    pub fn of(config: &Config) -> Result<Self, Error> {
        let listen = config.listen;
        if listen.port() == 0 {
            let why = "`listen` has the port 0, which is another one at each start; a service needs a fixed port";
            return Err(Error::Unspellable(why.into()));
        }
        let own = std::env::current_exe().map_err(|why| Error::Unspellable(format!("where this program is: {why}")))?;
        let program = lasting(own, environment("PATH").as_deref());
        let set = |name: &str| environment(name).filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value));
        let wanted = Self { program, listen, variables: CARRIED.into_iter().filter_map(set).collect() };
        wanted.program_text()?;
        match wanted.variables.iter().find(|(_, value)| value.contains(char::is_control)) {
            Some((name, _)) => Err(Error::Unspellable(format!("the variable {name} has a control character in it"))),
            None => Ok(wanted),
        }
    }

    /// The program's path as text.
    pub(super) fn program_text(&self) -> Result<&str, Error> {
        let shown = self.program.display();
        let text = self.program.to_str().filter(|text| !text.contains(char::is_control));
        text.ok_or_else(|| Error::Unspellable(format!("the program's path {shown} is not plain text; install it elsewhere")))
    }
}

/// A name on PATH that leads to this program: package managers keep each version in a folder of its own, and a link to it.
fn lasting(own: PathBuf, path: Option<&str>) -> PathBuf {
    let Ok(file) = own.canonicalize() else { return own };
    let name = format!("leeward{}", std::env::consts::EXE_SUFFIX);
    let candidates = path.into_iter().flat_map(std::env::split_paths).filter(|folder| folder.is_absolute());
    let leads_here = |candidate: &PathBuf| candidate.canonicalize().is_ok_and(|to| to == file);
    candidates.map(|folder: PathBuf| Path::new(&folder).join(&name)).find(leads_here).unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_link_on_path_outlives_the_version_that_it_leads_to() {
        let home = tempfile::tempdir().unwrap();
        let (cellar, bin) = (home.path().join("1.0/bin"), home.path().join("bin"));
        std::fs::create_dir_all(&cellar).unwrap();
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(cellar.join("leeward"), "").unwrap();
        let path = format!("relative:{}", bin.display());
        assert_eq!(lasting(cellar.join("leeward"), Some(&path)), cellar.join("leeward"), "there is none yet");
        std::fs::write(bin.join("leeward"), "another program").unwrap();
        assert_eq!(lasting(cellar.join("leeward"), Some(&path)), cellar.join("leeward"));
        std::fs::remove_file(bin.join("leeward")).unwrap();
        std::os::unix::fs::symlink(cellar.join("leeward"), bin.join("leeward")).unwrap();
        assert_eq!(lasting(cellar.join("leeward"), Some(&path)), bin.join("leeward"));
    }

    #[test]
    fn a_port_that_changes_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let mut config = Config::under(home.path()).unwrap();
        config.listen.set_port(0);
        assert!(Wanted::of(&config).unwrap_err().to_string().contains("fixed port"));
    }
}
