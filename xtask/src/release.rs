//! `cargo xtask release`: the folder with everything that is published for a version, of programs for each platform. The same
//! programs give the same bytes. Publishes nothing and asks no network.

mod archive;
pub(crate) mod build_paths;
mod file_server;
mod manifests;
pub(crate) mod npm;
pub(crate) mod npm_check;
mod parts;
mod platforms;
mod sbom;
pub(crate) mod script_check;
mod scripts;
mod sign;
mod wheel;

use crate::{
    link, notices,
    shell::{PROGRAMS, Shell, built, root, target},
};
use anyhow::{Context, Result, bail, ensure};
use parts::{Built, Entry, Programs, version};
use sha2::{Digest, Sha256};
use sign::Key;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What the command line says.
struct Options {
    /// Where the folder will be found by others.
    url: String,
    /// Signs the archives. Without it there are no install scripts: they take nothing unsigned.
    key: Option<PathBuf>,
    out: PathBuf,
    /// What `cargo xtask bundle` has made: it goes along as it is.
    packages: Vec<PathBuf>,
    /// For a check: a debug build's programs are full of them.
    build_paths_allowed: bool,
}

/// A release in the making.
struct Release {
    version: String,
    url: String,
    /// In seconds since 1970; every file has this time.
    time: u64,
    out: PathBuf,
    list: Vec<Built>,
}

/// `cargo xtask release --url URL [--key FILE] [--program [PLATFORM=]PATH]… [--tray [PLATFORM=]PATH]… [--package FILE]…
/// [--out FOLDER]`.
pub(crate) fn run(words: Vec<String>) -> Result<ExitCode> {
    let (mut programs, mut url, mut key, mut out) = (Programs::default(), None, None, target().join("release-folder"));
    let mut packages = Vec::new();
    let mut words = words.into_iter();
    while let Some(flag) = words.next() {
        let word = words.next().with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--program" | "--tray" => programs.add(&flag, &word)?,
            "--package" => packages.push(std::path::absolute(word)?),
            "--url" => url = Some(word),
            "--key" => key = Some(std::path::absolute(word)?),
            "--out" => out = std::path::absolute(word)?,
            _ => bail!(
                "`cargo xtask release` does not know `{flag}`; it knows --url, --key, --program, --tray, --package and --out"
            ),
        }
    }
    let url = url.context("--url URL is missing: where the files of this release will be found")?;
    let list = programs.list();
    ensure!(!list.is_empty(), "name at least one --program");
    let options = Options { url, key, out, packages, build_paths_allowed: false };
    for file in make(list, &options)? {
        println!("{}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the folder anew; its files, in order.
fn make(list: Vec<Built>, options: &Options) -> Result<Vec<PathBuf>> {
    let out = options.out.clone();
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    let url = options.url.trim_end_matches('/').to_owned();
    let release = Release { version: version()?, url, time: time()?, out, list };
    if !options.build_paths_allowed {
        release.no_build_paths()?;
    }
    release.archives()?;
    for file in npm::make(&release.list, &release.out.join("npm"))? {
        let name = file.file_name().context("npm named no file")?;
        fs::rename(&file, release.out.join(name))?;
    }
    fs::remove_dir_all(release.out.join("npm"))?;
    for built in &release.list {
        let (name, bytes) = wheel::make(built, &release.version, release.time)?;
        release.write(&name, &bytes)?;
    }
    release.write(&format!("leeward-{}.cdx.json", release.version), sbom::make(&release.version, release.time)?.as_bytes())?;
    release.write("third-party.txt", notices::page()?.as_bytes())?;
    for package in &options.packages {
        let name = package.file_name().with_context(|| format!("{} is no file", package.display()))?;
        let bytes = fs::read(package).with_context(|| format!("cannot read {}", package.display()))?;
        release.write(&name.to_string_lossy(), &bytes)?;
    }
    let changes = fs::read_to_string(root().join("CHANGELOG.md"))?;
    release.write("changes.md", section(&changes, &release.version)?.as_bytes())?;
    let mut public = None;
    if let Some(key) = &options.key {
        let work = release.out.join("signing");
        let key = Key::read(key, &work)?;
        release.sign(&key)?;
        scripts::write(&release, &key)?;
        fs::remove_dir_all(work)?;
        public = Some(key.public());
    }
    for line in manifests::write(&release, public.as_deref())? {
        println!("not written: {line}");
    }
    release.sums()?;
    release.files()
}

/// What has changed in a version, or since the last one where it has no section of its own yet.
fn section(changes: &str, version: &str) -> Result<String> {
    let mut sections = changes.split("\n## ").skip(1);
    let own = sections.clone().find(|section| section.starts_with(version));
    let section = own.or_else(|| sections.find(|section| section.starts_with("Unreleased")));
    let section = section.with_context(|| format!("CHANGELOG.md has no section for {version}, nor for what is unreleased"))?;
    Ok(format!("## {}\n", section.trim_end()))
}

impl Release {
    fn no_build_paths(&self) -> Result<()> {
        let programs = self.list.iter().flat_map(|built| [Some(&built.program), built.tray.as_ref()]).flatten();
        programs.into_iter().try_for_each(|program| build_paths::check(program, &fs::read(program)?))
    }

    fn archives(&self) -> Result<()> {
        for built in &self.list {
            let folder = self.name(built);
            let mut entries = built.entries()?;
            for entry in &mut entries {
                entry.path = format!("{folder}/{}", entry.path);
            }
            let zipped = built.platform.archive() == "zip";
            let bytes = if zipped { archive::zip(&entries, self.time)? } else { archive::tar_gz(&entries, self.time)? };
            self.write(&self.archive(built), &bytes)?;
        }
        Ok(())
    }

    /// The folder in an archive.
    fn name(&self, built: &Built) -> String {
        format!("leeward-{}-{}", self.version, built.platform.id)
    }

    fn archive(&self, built: &Built) -> String {
        format!("{}.{}", self.name(built), built.platform.archive())
    }

    fn sign(&self, key: &Key) -> Result<()> {
        for built in &self.list {
            let name = self.archive(built);
            let signature = key.sign(&self.out.join(&name), &format!("leeward {} {name}", self.version))?;
            self.write(&format!("{name}.minisig"), signature.as_bytes())?;
        }
        Ok(())
    }

    /// As `sha256sum --check` reads it.
    fn sums(&self) -> Result<()> {
        let mut sums = String::new();
        for file in self.files()? {
            let name = file.strip_prefix(&self.out)?.display().to_string();
            sums += &format!("{}  {name}\n", sha256(&fs::read(&file)?));
        }
        self.write("SHA256SUMS", sums.as_bytes())
    }

    /// Of a file that is there already.
    fn sum(&self, name: &str) -> Result<String> {
        Ok(sha256(&fs::read(self.out.join(name)).with_context(|| format!("{name} is no file of this release"))?))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let file = self.out.join(name);
        fs::create_dir_all(file.parent().context("a file stands in a folder")?)?;
        fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut entries = Vec::<Entry>::new();
        parts::files(&self.out, "", &mut entries)?;
        let mut files: Vec<_> = entries.iter().map(|entry| self.out.join(entry.path.trim_start_matches('/'))).collect();
        files.sort();
        Ok(files)
    }
}

/// Of what is published, not of the moment: the variable that all such tools know, or the last commit.
fn time() -> Result<u64> {
    let said = match env::var("SOURCE_DATE_EPOCH") {
        Ok(said) => said,
        Err(_) => Shell::new("git log -1 --format=%ct").read().context("without git, SOURCE_DATE_EPOCH must be set")?,
    };
    said.parse().with_context(|| format!("`{said}` are no seconds since 1970"))
}

/// In small hexadecimal letters, as all tools write it.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The command-line program as others get it.
fn build() -> Result<()> {
    link::for_others(Shell::cargo("build --locked --release --bin leeward")).run()
}

/// The debug build's program without its debug information, for a check: packing that takes a minute.
fn stripped(folder: &Path) -> Result<PathBuf> {
    let program = match env::var_os("LEEWARD_BIN") {
        Some(program) => PathBuf::from(program),
        None => {
            Shell::cargo(PROGRAMS).run()?;
            built("leeward", false)
        }
    };
    let copy = folder.join("leeward");
    Shell::new("strip -o").arg(&copy).arg(&program).run()?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_its_own_section_or_the_unreleased_one() {
        let changes = "# C\n\n## Unreleased\n\nnew\n\n## 1.0.0\n\nold\n";
        assert_eq!(section(changes, "1.0.0").unwrap(), "## 1.0.0\n\nold\n");
        assert_eq!(section(changes, "1.1.0").unwrap(), "## Unreleased\n\nnew\n");
        assert!(section("# C\n", "1.0.0").is_err());
    }
}
