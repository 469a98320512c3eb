//! What goes into the packages, wherever it was built: programs by platform, the panel's page, texts. Packs nothing itself.

use crate::{
    release::platforms::{PLATFORMS, Platform},
    shell::root,
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One file of a package: its path in it, its bytes, and whether it is a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) program: bool,
}

impl Entry {
    pub(crate) fn text(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), bytes: text.into().into_bytes(), program: false }
    }
}

/// The programs of one platform.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(crate) platform: &'static Platform,
    pub(crate) program: PathBuf,
    pub(crate) tray: Option<PathBuf>,
}

impl Built {
    /// What its packages hold, below `bin` and `share`, as the program itself finds it.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for (name, file) in [("leeward", Some(&self.program)), ("leeward-tray", self.tray.as_ref())] {
            let Some(file) = file else { continue };
            let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            entries.push(Entry { path: format!("bin/{}", self.platform.program(name)), bytes, program: true });
        }
        let page = root().join("ui").join("dist");
        if page.is_dir() {
            files(&page, "share/leeward/ui", &mut entries)?;
        }
        for text in ["LICENSE", "CHANGELOG.md"] {
            let bytes = fs::read(root().join(text))?;
            entries.push(Entry { path: format!("share/doc/leeward/{text}"), bytes, program: false });
        }
        entries.sort();
        Ok(entries)
    }
}

/// The oldest glibc that a program runs with, by the versions that it names; `None` where it names none.
pub(crate) fn glibc(program: &[u8]) -> Option<(u32, u32)> {
    const NAME: &[u8] = b"GLIBC_";
    let named = program.windows(NAME.len()).enumerate().filter(|(_, bytes)| *bytes == NAME);
    let versions = named.filter_map(|(at, _)| {
        let rest = &program[at + NAME.len()..];
        let version = std::str::from_utf8(&rest[..rest.iter().position(|byte| *byte == 0)?]).ok()?;
        // Relative relocations in a bit map have a name of their own.
        if version == "ABI_DT_RELR" {
            return Some((2, 36));
        }
        let mut numbers = version.split('.').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    });
    versions.max()
}

/// All files below a folder, in no order.
pub(crate) fn files(folder: &Path, name: &str, entries: &mut Vec<Entry>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let (path, file) = (entry.as_ref().map(fs::DirEntry::path), entry.as_ref().map(fs::DirEntry::file_name));
        let (Ok(path), Ok(file)) = (path, file) else { bail!("cannot read {}", folder.display()) };
        let name = format!("{name}/{}", file.to_string_lossy());
        if path.is_dir() {
            files(&path, &name, entries)?;
        } else {
            entries.push(Entry { path: name, bytes: fs::read(&path)?, program: false });
        }
    }
    Ok(())
}

/// What `--program` and `--tray` name: `PATH` for this machine's platform, `PLATFORM=PATH` for another.
#[derive(Debug, Default)]
pub(crate) struct Programs(Vec<Built>);

impl Programs {
    /// Takes one word of the command line.
    pub(crate) fn add(&mut self, flag: &str, word: &str) -> Result<()> {
        let (platform, path) = match word.split_once('=') {
            Some((id, path)) => (Platform::named(id).with_context(|| unknown(id))?, path),
            None => (Platform::here().context("this machine's platform has no name here; write PLATFORM=PATH")?, word),
        };
        let path = std::path::absolute(path)?;
        ensure!(path.is_file(), "{}: there is no such program", path.display());
        let known = self.0.iter_mut().find(|built| built.platform == platform);
        match (flag, known) {
            ("--program", None) => self.0.push(Built { platform, program: path, tray: None }),
            ("--program", Some(built)) => built.program = path,
            (_, Some(built)) => built.tray = Some(path),
            (_, None) => bail!("--tray {word}: name the --program of {} before it", platform.id),
        }
        Ok(())
    }

    /// In the order of the platforms.
    pub(crate) fn list(mut self) -> Vec<Built> {
        self.0.sort_by_key(|built| PLATFORMS.iter().position(|platform| platform == built.platform));
        self.0
    }
}

fn unknown(id: &str) -> String {
    format!("there is no platform `{id}`; there are {}", PLATFORMS.map(|platform| platform.id).join(", "))
}

/// The version that all packages have.
pub(crate) fn version() -> Result<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = "));
    Ok(line.context("Cargo.toml has no version")?.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_named_by_platform() {
        let file = std::env::current_exe().unwrap().display().to_string();
        let mut programs = Programs::default();
        programs.add("--program", &format!("win32-x64={file}")).unwrap();
        programs.add("--program", &format!("linux-x64={file}")).unwrap();
        programs.add("--tray", &format!("linux-x64={file}")).unwrap();
        let list = programs.list();
        assert_eq!(
            list.iter().map(|b| (b.platform.id, b.tray.is_some())).collect::<Vec<_>>(),
            [("linux-x64", true), ("win32-x64", false)]
        );
    }

    #[test]
    fn the_oldest_c_library_is_the_newest_that_is_named() {
        assert_eq!(glibc(b"x\0GLIBC_2.4\0GLIBC_2.34\0GLIBC_2.3.4\0GLIBC_PRIVATE\0"), Some((2, 34)));
        assert_eq!(glibc(b"GLIBC_2.4\0GLIBC_ABI_DT_RELR\0"), Some((2, 36)));
        assert_eq!(glibc(b"no such name"), None);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let mut programs = Programs::default();
        for (flag, word, says) in [
            ("--program", "linux-x65=/bin/sh", "linux-x65"),
            ("--program", "linux-x64=/no/such/file", "/no/such/file"),
            ("--tray", "darwin-x64=/bin/sh", "--program of darwin-x64"),
        ] {
            let error = programs.add(flag, word).unwrap_err().to_string();
            assert!(error.contains(says), "{flag} {word}: {error}");
        }
    }
}
