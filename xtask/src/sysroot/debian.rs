//! Debian's own compilers, as the machine's apt sources have them: rustc, cargo, their clippy and the source of the standard
//! library, all of one version. They are unpacked below `target/std` and run there; nothing is installed.

use super::{apt::Apt, source};
use crate::shell::{Shell, root};
use anyhow::{Context, Result, bail};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// What must be there in one version. Debian keeps this set new enough for its browsers.
const SET: [&str; 4] = ["rustc-web", "cargo-web", "libstd-rust-web-dev", "rust-web-src"];
const CLIPPY: &str = "rust-web-clippy";
/// How the folder of a version begins.
const FOLDER: &str = "debian-";

/// The compilers of one version, ready to run.
#[derive(Debug, Clone)]
pub(super) struct Set {
    /// Debian's version of all of them.
    pub(super) version: String,
    /// What belongs to this version: `compiler`, `library`, and what is built with them.
    pub(super) folder: PathBuf,
    /// Where the programs find their shared libraries.
    libraries: OsString,
}

impl Set {
    /// Unpacks the set, or finds it unpacked in `std`; an error string is the reason why there is none.
    pub(super) fn ready(std: &Path) -> Result<std::result::Result<Self, String>> {
        let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
        let oldest = oldest(&manifest).context("Cargo.toml names no rust-version")?;
        if let Some(found) = unpacked(std, oldest) {
            return found.starting().map(Ok);
        }
        println!("Looking for Debian's own Rust compilers in this machine's apt sources.");
        let apt = Apt::of_this_machine(std.join("apt"))?;
        apt.update()?;
        let known = apt.versions(&[SET.as_slice(), &[CLIPPY]].concat())?;
        let newest = newest_of_all(&known);
        let names = SET.join(", ");
        let fetched = match newest {
            None => Err(format!("this machine's apt sources have no {names} of one version")),
            Some(version) if upstream(&version) < Some(oldest) => {
                let (major, minor, _) = oldest;
                Err(format!("the {names} of this machine's apt sources are {version}, and {major}.{minor} is needed"))
            }
            Some(version) => {
                let folder = std.join(format!("{FOLDER}{version}"));
                fetch(&apt, &version, known.contains(&(CLIPPY.to_owned(), version.clone())), &folder)?;
                Ok(Self::at(folder, version)?.starting()?)
            }
        };
        apt.remove()?;
        Ok(fetched)
    }

    fn at(folder: PathBuf, version: String) -> Result<Self> {
        let libraries = std::env::join_paths(libraries(&folder.join("compiler")))
            .with_context(|| format!("the programs in {} need a folder without a colon in its path", folder.display()))?;
        Ok(Self { version, folder, libraries })
    }

    /// Itself, unless the machine lacks what it needs to start.
    fn starting(self) -> Result<Self> {
        let started = self.rustc("--version").read();
        started
            .with_context(|| format!("Debian's compiler does not start; remove {} to have it again", self.folder.display()))?;
        Ok(self)
    }

    /// Its cargo, which runs its compiler.
    pub(super) fn cargo(&self, line: &str) -> Shell {
        self.program("cargo").args(line.split_whitespace())
    }

    /// Its clippy. Called by its path: cargo would look for it where rustup has put another version's.
    pub(super) fn clippy(&self) -> Shell {
        self.program("cargo-clippy").arg("clippy")
    }

    /// Whether that runs.
    pub(super) fn has_clippy(&self) -> bool {
        ["cargo-clippy", "clippy-driver"].iter().all(|name| self.program(name).arg("--version").succeeds())
    }

    /// Its compiler.
    pub(super) fn rustc(&self, line: &str) -> Shell {
        self.program("rustc").args(line.split_whitespace())
    }

    /// Where its cargo builds: what another compiler has built is of no use to this one.
    pub(super) fn target(&self) -> PathBuf {
        self.folder.join("build")
    }

    fn program(&self, name: &str) -> Shell {
        let programs = programs(&self.folder.join("compiler"));
        let shell = Shell::program(programs.join(name)).env("LD_LIBRARY_PATH", &self.libraries);
        let shell = shell.env("CARGO", programs.join("cargo")).env("RUSTC", programs.join("rustc"));
        shell.env("CARGO_TARGET_DIR", self.target())
    }
}

fn programs(compiler: &Path) -> PathBuf {
    compiler.join("usr").join("bin")
}

/// The newest that is whole. One that is new enough is kept, so that the archive is asked once and not every day.
fn unpacked(std: &Path, oldest: (u32, u32, u32)) -> Option<Set> {
    let folders = fs::read_dir(std).ok()?.flatten().map(|folder| folder.path());
    let sets = folders.filter_map(|folder| {
        let version = folder.file_name()?.to_str()?.strip_prefix(FOLDER)?.to_owned();
        let whole = programs(&folder.join("compiler")).join("rustc").exists() && folder.join("library").exists();
        Some((upstream(&version).filter(|number| whole && *number >= oldest)?, folder, version))
    });
    let (_, folder, version) = sets.max()?;
    Set::at(folder, version).ok()
}

/// The compilers come into their place last and at once: before that the set does not count as unpacked.
fn fetch(apt: &Apt, version: &str, clippy: bool, folder: &Path) -> Result<()> {
    let names = SET.iter().copied().chain(clippy.then_some(CLIPPY)).map(str::to_owned);
    // The shared standard library has the number in its name.
    let (major, minor, _) = upstream(version).unwrap_or_default();
    let wanted: Vec<_> =
        names.chain([format!("libstd-rust-web-{major}.{minor}")]).map(|name| format!("{name}={version}")).collect();
    let missing = apt.missing(&wanted)?;
    println!("Unpacking Debian's compilers into {}: {}.", folder.display(), missing.join(", "));
    let downloads = folder.join("packages");
    let beside = folder.join("unpacked");
    fs::remove_dir_all(&beside).ok();
    fs::create_dir_all(&beside)?;
    for package in apt.download(&missing, &downloads)? {
        let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match name.split('_').next() {
            Some("rust-web-src") if folder.join("library").exists() => {}
            Some("rust-web-src") => source::unpack(&package, folder)?,
            _ => Shell::new("dpkg-deb --extract").arg(&package).arg(&beside).run()?,
        }
    }
    if !folder.join("library").exists() {
        bail!("Debian's rust-web-src {version} has no usr/src/rustc-*/library in it");
    }
    fs::remove_dir_all(folder.join("compiler")).ok();
    fs::rename(&beside, folder.join("compiler"))?;
    fs::remove_dir_all(downloads)?;
    Ok(())
}

/// Debian's libraries lie in a folder named for the machine, LLVM's in one of their own.
fn libraries(compiler: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for lib in [compiler.join("usr").join("lib"), compiler.join("lib")] {
        let folders = fs::read_dir(&lib).into_iter().flatten().flatten();
        for name in folders.map(|folder| folder.file_name().to_string_lossy().into_owned()) {
            if name.contains("-linux-gnu") {
                found.push(lib.join(&name));
            } else if name.starts_with("llvm-") {
                found.push(lib.join(&name).join("lib"));
            }
        }
    }
    found
}

/// The newest version that all of the set have.
fn newest_of_all(known: &[(String, String)]) -> Option<String> {
    let has = |name: &str, version: &str| known.iter().any(|(n, v)| n == name && v == version);
    let versions = known.iter().filter(|(name, _)| name == SET[0]).map(|(_, version)| version);
    versions.into_iter().find(|version| SET.iter().all(|name| has(name, version))).cloned()
}

/// The compiler's own number in a version of Debian's.
fn upstream(version: &str) -> Option<(u32, u32, u32)> {
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let mut numbers = version[..end].split('.').map(str::parse);
    let mut next = || numbers.next().unwrap_or(Ok(0)).ok();
    Some((next()?, next()?, next()?))
}

/// What the project needs at least.
fn oldest(manifest: &str) -> Option<(u32, u32, u32)> {
    let value = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \""))?;
    upstream(value.split('"').next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compilers_are_of_one_version() {
        let known = |lines: &[(&str, &str)]| lines.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect::<Vec<_>>();
        let older = SET.map(|name| (name, "1.95.0+dfsg1-1"));
        let mut lines = vec![("rustc-web", "1.96.0+dfsg1-1"), ("cargo-web", "1.96.0+dfsg1-1")];
        assert_eq!(newest_of_all(&known(&lines)), None);
        lines.extend(older);
        assert_eq!(newest_of_all(&known(&lines)).as_deref(), Some("1.95.0+dfsg1-1"));
        assert_eq!(newest_of_all(&[]), None);
    }

    #[test]
    fn a_compiler_is_as_old_as_its_own_number_says() {
        assert_eq!(upstream("1.96.0+dfsg1-1~deb12u2"), Some((1, 96, 0)));
        assert!(upstream("1.100.0+dfsg1-1") > upstream("1.96.1~bpo"));
        assert_eq!(upstream("unknown"), None);
        let manifest = "[package]\nedition = \"2024\"\nrust-version = \"1.95\" # why\n";
        assert_eq!(oldest(manifest), Some((1, 95, 0)));
        assert!(oldest(&fs::read_to_string(root().join("Cargo.toml")).unwrap()).is_some());
    }

    #[test]
    fn a_set_counts_when_it_is_whole_and_new_enough() {
        let std = std::env::temp_dir().join(format!("leeward-xtask-set-{}", std::process::id()));
        for (version, parts) in [
            ("1.94.0+dfsg1-1", ["compiler/usr/bin/rustc", "library"].as_slice()),
            ("1.96.0+dfsg1-1", &["compiler/usr/bin/rustc", "library"]),
            ("1.97.0+dfsg1-1", &["unpacked/usr/bin/rustc", "library"]),
        ] {
            parts.iter().for_each(|part| fs::create_dir_all(std.join(format!("{FOLDER}{version}")).join(part)).unwrap());
        }
        assert_eq!(unpacked(&std, (1, 95, 0)).unwrap().version, "1.96.0+dfsg1-1");
        assert!(unpacked(&std, (1, 98, 0)).is_none());
        fs::remove_dir_all(std).unwrap();
    }
}
