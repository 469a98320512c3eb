//! apt with lists and downloads in a scratch folder, so that those of the machine stay as they are. Installs nothing.

use crate::{packages, shell::Shell};
use anyhow::Result;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One scratch folder and what apt is given for it.
pub(super) struct Apt {
    state: PathBuf,
    options: Vec<String>,
}

impl Apt {
    /// The machine's own sources and what it has installed.
    pub(super) fn of_this_machine(state: PathBuf) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(part))?;
        }
        let options = vec![
            format!("Dir::State::lists={}", state.join("lists").display()),
            format!("Dir::Cache={}", state.join("cache").display()),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ];
        Ok(Self { state, options })
    }

    /// Other releases of Debian, from the mirror that the machine has, as if nothing were installed.
    pub(super) fn of_releases(state: PathBuf, suites: &[&str]) -> Result<Self> {
        let mut apt = Self::of_this_machine(state)?;
        let [list, status, preferences] = ["sources.list", "status", "preferences"].map(|name| apt.state.join(name));
        let (mirror, keyring) = (packages::debian_mirror()?, packages::debian_keyring()?);
        let sources: String = suites.iter().map(|suite| format!("deb [signed-by={keyring}] {mirror} {suite} main\n")).collect();
        fs::write(&list, sources)?;
        fs::write(&status, "")?;
        fs::create_dir_all(&preferences)?;
        apt.options.extend([
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::Etc::preferencesparts={}", preferences.display()),
            format!("Dir::State::status={}", status.display()),
        ]);
        Ok(apt)
    }

    /// Fetches the lists of packages.
    pub(super) fn update(&self) -> Result<()> {
        self.program("apt-get").args(["-qq", "update"]).run()
    }

    /// Name and version of all that is known under these names, the newest of each first.
    pub(super) fn versions(&self, names: &[&str]) -> Result<Vec<(String, String)>> {
        Ok(listed(&self.program("apt-cache").arg("madison").args(names).read()?))
    }

    /// What these packages need and the machine lacks, themselves included, each as apt takes it: `name=version`.
    pub(super) fn missing(&self, packages: &[String]) -> Result<Vec<String>> {
        // What is installed is wanted too: only together do they make the folder that the compiler expects.
        let line = ["install", "--simulate", "--reinstall", "--no-install-recommends"];
        Ok(to_install(&self.program("apt-get").args(line).args(packages).read()?))
    }

    /// Downloads packages into a folder that holds nothing else; apt holds them against the signed lists.
    pub(super) fn download(&self, packages: &[String], into: &Path) -> Result<Vec<PathBuf>> {
        fs::remove_dir_all(into).ok();
        fs::create_dir_all(into)?;
        self.program("apt-get").args(["-qq", "download"]).args(packages).within(into).run()?;
        let files = fs::read_dir(into)?.flatten().map(|file| file.path());
        Ok(files.filter(|path| path.extension().is_some_and(|e| e == "deb")).collect())
    }

    /// Ends with the lists, which are of no use any more.
    pub(super) fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(self.state)?)
    }

    fn program(&self, name: &str) -> Shell {
        let shell = Shell::new(name).env("LC_ALL", "C.UTF-8");
        self.options.iter().fold(shell, |shell, option| shell.args(["-o", option]))
    }
}

/// Lines of `apt-cache madison`: `name | version | origin Packages`.
fn listed(madison: &str) -> Vec<(String, String)> {
    let lines = madison.lines().filter(|line| line.trim_end().ends_with(" Packages"));
    let fields = lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    fields.filter(|f| f.len() >= 3).map(|f| (f[0].to_owned(), f[1].to_owned())).collect()
}

/// Lines of a simulation: `Inst name [the version that is installed] (version origin [architecture])`.
fn to_install(simulation: &str) -> Vec<String> {
    let lines = simulation.lines().filter_map(|line| line.strip_prefix("Inst "));
    let named = lines.filter_map(|line| {
        let (name, rest) = line.split_once(' ')?;
        let version = rest.split_once('(')?.1.split(' ').next()?;
        Some(format!("{name}={version}"))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_read_without_sources() {
        let madison = " rustc-web | 1.96.0+dfsg1-1~deb12u2 | https://mirror bookworm-security/main amd64 Packages\n \
                       rustc-web | 1.85.0+dfsg3-1 | https://mirror bookworm/main Sources\n";
        assert_eq!(listed(madison), [("rustc-web".to_owned(), "1.96.0+dfsg1-1~deb12u2".to_owned())]);
    }

    #[test]
    fn a_simulation_names_what_is_missing_and_what_is_installed_already() {
        let simulation = "The following NEW packages will be installed:\n  libllvm22 rustc-web\n\
                          Inst libllvm22 (1:22.1.8-1~deb12u1 Debian-Security:12/oldstable-security [amd64])\n\
                          Inst rustc-web [1.85.0+dfsg3-1] (1.96.0+dfsg1-1 Debian-Security:12 [amd64]) []\n\
                          Conf rustc-web (1.96.0+dfsg1-1 Debian-Security:12 [amd64])\n";
        assert_eq!(to_install(simulation), ["libllvm22=1:22.1.8-1~deb12u1", "rustc-web=1.96.0+dfsg1-1"]);
    }
}
