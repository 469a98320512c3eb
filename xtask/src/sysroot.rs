//! What the compiler lacks for another system: its standard library, built once from the very source that Debian ships for
//! this compiler's version, into a folder of links under `target/std`. The compiler itself stays as it is.

use crate::{
    packages,
    shell::{self, Shell},
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Debian releases that may carry the source of a newer compiler.
const SUITES: [&str; 3] = ["trixie", "trixie-backports", "sid"];
/// Packages whose content is known: version and SHA-256. Others are trusted by the archive's signature alone.
const PINS: &[(&str, &str)] = &[("1.95.0+dfsg1-2~bpo13+1", "7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b")];

/// A compiler that can build for a target.
#[derive(Debug)]
pub(crate) struct Sysroot {
    target: &'static str,
    /// `None` where the compiler's own folder has the target's library.
    ours: Option<PathBuf>,
}

impl Sysroot {
    /// Makes it; an error string is the reason why that cannot be done here.
    pub(crate) fn ready(target: &'static str) -> Result<std::result::Result<Self, String>> {
        let version = rustc_version()?;
        let real = PathBuf::from(Shell::new("rustc --print sysroot").read()?);
        if has_std(&real, target) {
            return Ok(Ok(Self { target, ours: None }));
        }
        if !packages::on_debian() {
            return Ok(Err(format!(
                "the standard library for {target} is built from Debian's packages only; run `rustup target add {target}`"
            )));
        }
        packages::ensure(&packages::STD)?;
        let folder = shell::target().join("std").join(&version);
        let ours = folder.join("sysroot");
        if !has_std(&ours, target) {
            if !folder.join("library").exists() && !fetch_source(&version, &folder)? {
                let (suites, place) = (SUITES.join(", "), folder.join("library"));
                return Ok(Err(format!(
                    "Debian ({suites}) has no rust-src {version}; with it in {} this would run",
                    place.display()
                )));
            }
            build_std(target, &real, &ours, &folder)?;
        }
        Ok(Ok(Self { target, ours: Some(ours) }))
    }

    /// A cargo command for the target.
    pub(crate) fn cargo(&self, line: &str) -> Shell {
        let cargo = Shell::cargo(line).args(["--target", self.target]);
        match &self.ours {
            None => cargo,
            // With a target named, these flags are for the target alone; the encoded form allows blanks in the path.
            Some(ours) => cargo.env("CARGO_ENCODED_RUSTFLAGS", format!("--sysroot\u{1f}{}", ours.display())),
        }
    }
}

fn rustc_version() -> Result<String> {
    let line = Shell::new("rustc --version").read()?;
    Ok(line.split(' ').nth(1).with_context(|| format!("`rustc --version` said `{line}`"))?.to_owned())
}

fn libraries(sysroot: &Path, target: &str) -> PathBuf {
    sysroot.join("lib").join("rustlib").join(target).join("lib")
}

fn has_std(sysroot: &Path, target: &str) -> bool {
    let Ok(files) = fs::read_dir(libraries(sysroot, target)) else { return false };
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
}

/// Debian's `rust-src` of exactly this version, through an apt state of its own: the machine's sources stay as they are.
fn fetch_source(version: &str, folder: &Path) -> Result<bool> {
    let state = folder.join("apt");
    for part in ["lists/partial", "cache/archives/partial", "preferences"] {
        fs::create_dir_all(state.join(part))?;
    }
    let (mirror, keyring) = (packages::debian_mirror()?, packages::debian_keyring()?);
    let sources: String = SUITES.iter().map(|suite| format!("deb [signed-by={keyring}] {mirror} {suite} main\n")).collect();
    fs::write(state.join("sources.list"), sources)?;
    fs::write(state.join("status"), "")?;
    let apt = |program: &str| {
        let options = [
            format!("Dir::Etc::sourcelist={}", state.join("sources.list").display()),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::Etc::preferencesparts={}", state.join("preferences").display()),
            format!("Dir::State::lists={}", state.join("lists").display()),
            format!("Dir::State::status={}", state.join("status").display()),
            format!("Dir::Cache={}", state.join("cache").display()),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ];
        options.into_iter().fold(Shell::new(program), |shell, option| shell.args(["-o".to_owned(), option]))
    };
    println!("Fetching the source of Rust {version}'s standard library from Debian.");
    apt("apt-get").args(["-qq", "update"]).run()?;
    let known = apt("apt-cache").args(["madison", "rust-src"]).read()?;
    let versions = known.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim);
    let Some(found) = versions.into_iter().find(|v| v.starts_with(&format!("{version}+dfsg"))) else { return Ok(false) };
    apt("apt-get").args(["-qq", "download", &format!("rust-src={found}")]).within(folder).run()?;
    let package = fs::read_dir(folder)?.flatten().map(|f| f.path()).find(|p| p.extension().is_some_and(|e| e == "deb"));
    let package = package.context("apt-get download wrote no package")?;
    verify(&package, found)?;
    unpack(&package, folder)?;
    fs::remove_file(package)?;
    fs::remove_dir_all(state)?;
    Ok(true)
}

fn verify(package: &Path, version: &str) -> Result<()> {
    let Some((_, pinned)) = PINS.iter().find(|(known, _)| *known == version) else { return Ok(()) };
    let sum = Shell::new("sha256sum").arg(package).read()?;
    if !sum.starts_with(pinned) {
        bail!("{} is not the package that is known as {version}: its SHA-256 is {sum}, wanted {pinned}", package.display());
    }
    Ok(())
}

/// Only `library`, moved into place when it is whole.
fn unpack(package: &Path, folder: &Path) -> Result<()> {
    let beside = folder.join("unpacking");
    fs::create_dir_all(&beside)?;
    let tar = beside.join("package.tar");
    fs::write(&tar, std::process::Command::new("dpkg-deb").arg("--fsys-tarfile").arg(package).output()?.stdout)?;
    let members = ["--strip-components=4", "--wildcards", "./usr/src/rustc-*/library"];
    Shell::new("tar --extract --file").arg(&tar).arg("--directory").arg(&beside).args(members).run()?;
    fs::rename(beside.join("library"), folder.join("library"))?;
    fs::remove_dir_all(beside)?;
    Ok(())
}

/// What `rustup target add` would have given: the target's libraries, and links to the compiler's own.
fn build_std(target: &str, real: &Path, ours: &Path, folder: &Path) -> Result<()> {
    let rustlib = ours.join("lib").join("rustlib");
    fs::create_dir_all(rustlib.join("src").join("rust"))?;
    link(&folder.join("library"), &rustlib.join("src").join("rust").join("library"))?;
    let host = Shell::new("rustc --print host-tuple").read()?;
    link(&real.join("lib").join("rustlib").join(&host), &rustlib.join(&host))?;
    // cargo looks for the source in `rustc --print sysroot`, which no flag changes: this compiler answers with our folder.
    let wrapper = folder.join("rustc");
    fs::write(
        &wrapper,
        format!("#!/bin/sh\nexec '{}' --sysroot '{}' \"$@\"\n", real.join("bin").join("rustc").display(), ours.display()),
    )?;
    Shell::new("chmod +x").arg(&wrapper).run()?;
    let empty = folder.join("std");
    fs::create_dir_all(empty.join("src"))?;
    fs::write(empty.join("src").join("lib.rs"), "#![no_std]\n")?;
    fs::write(
        empty.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[profile.release]\ndebug = 0\n[workspace]\n",
    )?;
    let vendor = folder.join("library").join("vendor");
    println!("Building the standard library for {target}.");
    let build = Shell::cargo("build --quiet --offline --release --config source.crates-io.replace-with=\"vendored\" --config")
        .arg(format!("source.vendored.directory=\"{}\"", vendor.display()))
        .args(["-Zbuild-std=std,panic_abort,panic_unwind,proc_macro,test", "--target", target, "--target-dir", "target"]);
    // The switch to unstable options is for this build alone, so that no dependency mistakes the compiler for a nightly one.
    build.within(&empty).env("RUSTC", &wrapper).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "").run()?;
    let built = empty.join("target").join(target).join("release").join("deps");
    let beside = folder.join("libraries");
    fs::create_dir_all(&beside)?;
    for file in fs::read_dir(built)?.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libempty-") {
            fs::copy(file.path(), beside.join(&name))?;
        }
    }
    // Renamed when complete: an interrupted run must not look like a finished one.
    fs::create_dir_all(rustlib.join(target))?;
    fs::remove_dir_all(libraries(ours, target)).ok();
    fs::rename(beside, libraries(ours, target))?;
    fs::remove_dir_all(empty)?;
    Ok(())
}

fn link(to: &Path, at: &Path) -> Result<()> {
    if at.symlink_metadata().is_ok() {
        fs::remove_file(at)?;
    }
    #[cfg(unix)]
    return std::os::unix::fs::symlink(to, at).with_context(|| format!("cannot link {}", at.display()));
    #[cfg(not(unix))]
    bail!("cannot link {} to {}: this method is for Linux", at.display(), to.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_other_content_is_refused() {
        let package = std::env::temp_dir().join(format!("leeward-xtask-{}.deb", std::process::id()));
        fs::write(&package, "not the package").unwrap();
        let error = verify(&package, PINS[0].0).unwrap_err().to_string();
        assert!(error.contains("SHA-256") && error.contains(PINS[0].1), "{error}");
        verify(&package, "a version nobody has pinned").unwrap();
        fs::remove_file(package).unwrap();
    }
}
