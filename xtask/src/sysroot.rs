//! What the compiler lacks for another system: its standard library, built once from the very source that Debian ships for
//! this compiler's version, into a folder of links under `target/std`. The compiler itself stays as it is. Where Debian has
//! no such source any more, its own compiler and that one's source take their place.

mod apt;
mod debian;
mod source;

use crate::{
    macos, packages,
    shell::{self, Shell},
    test::Outcome,
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Which compiler is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compiler {
    /// The project's; Debian's where nothing can be built for the target with that.
    Pinned,
    /// Debian's in any case, to see that it works.
    Debian,
}

/// A compiler that can build for a target.
#[derive(Debug)]
pub(crate) struct Sysroot {
    target: &'static str,
    /// `None` where the compiler's own folder has the target's library.
    ours: Option<PathBuf>,
    /// `None` for the pinned compiler.
    set: Option<debian::Set>,
}

impl Sysroot {
    /// Does something with it; what became of that, or the reason why it cannot be done here.
    pub(crate) fn with(target: &'static str, compiler: Compiler, work: impl FnOnce(&Self) -> Result<()>) -> Result<Outcome> {
        match Self::ready(target, compiler)? {
            Err(why) => Ok(Outcome::Skipped(why)),
            Ok(sysroot) => work(&sysroot).map(|()| sysroot.passed()),
        }
    }

    /// Makes it; an error string is the reason why that cannot be done here. Who insists on Debian's compiler gets an error.
    fn ready(target: &'static str, compiler: Compiler) -> Result<std::result::Result<Self, String>> {
        let version = rustc_version()?;
        let pinned = compiler == Compiler::Pinned;
        if pinned && has_std(&real_sysroot(None)?, target) {
            return Ok(Ok(Self { target, ours: None, set: None }));
        }
        let std = shell::target().join("std");
        let folder = std.join(&version);
        if !packages::on_debian() {
            let why = format!("the standard library for {target} is built from Debian's packages only");
            return if pinned { Ok(Err(format!("{why}; run `rustup target add {target}`"))) } else { bail!(why) };
        }
        packages::ensure(&packages::STD)?;
        if pinned
            && (has_std(&sysroot_in(&folder), target) || folder.join("library").exists() || source::fetch(&version, &folder)?)
        {
            return Self::built(target, folder, None).map(Ok);
        }
        match debian::Set::ready(&std)? {
            Ok(set) => {
                println!("The compiler for {target} is Debian's own, {}.", set.version);
                Self::built(target, set.folder.clone(), Some(set)).map(Ok)
            }
            Err(why) if pinned => {
                let (suites, place) = (source::SUITES.join(", "), folder.join("library"));
                let exact = format!("Debian ({suites}) has no rust-src {version}, and {why}");
                Ok(Err(format!("{exact}; with that source in {} this would run", place.display())))
            }
            Err(why) => bail!("Debian's own compiler cannot be tried: {why}"),
        }
    }

    /// With the library of the target in the links of `folder`.
    fn built(target: &'static str, folder: PathBuf, set: Option<debian::Set>) -> Result<Self> {
        let ours = sysroot_in(&folder);
        if !has_std(&ours, target) {
            build_std(target, set.as_ref(), &ours, &folder)?;
        }
        Ok(Self { target, ours: Some(ours), set })
    }

    /// A cargo command for the target.
    pub(crate) fn cargo(&self, line: &str) -> Shell {
        self.for_target(cargo(self.set.as_ref(), line))
    }

    /// Lints of what the line names, warnings being errors: clippy's, or `check` where Debian's clippy does not run.
    pub(crate) fn lint(&self, line: &str) -> Shell {
        let words = line.split_whitespace();
        if !self.has_clippy() {
            println!("Debian's clippy does not run here; what follows are the compiler's own lints, which stop nothing.");
            return self.cargo("check").args(words);
        }
        let clippy = self.set.as_ref().map_or_else(|| Shell::cargo("clippy"), debian::Set::clippy);
        self.for_target(clippy.args(words)).args(["--", "-D", "warnings"])
    }

    fn has_clippy(&self) -> bool {
        self.set.as_ref().is_none_or(debian::Set::has_clippy)
    }

    /// What became of a step that this compiler has built: it says so where that is not the project's.
    fn passed(&self) -> Outcome {
        match &self.set {
            None => Outcome::Passed,
            Some(set) if self.has_clippy() => Outcome::PassedWith(format!("Debian's compiler {}", set.version)),
            Some(set) => Outcome::PassedWith(format!("Debian's compiler {}, without its clippy", set.version)),
        }
    }

    /// Where cargo puts what it builds for the target without optimisation.
    pub(crate) fn debug(&self) -> PathBuf {
        self.set.as_ref().map_or_else(shell::target, debian::Set::target).join(self.target).join("debug")
    }

    fn for_target(&self, cargo: Shell) -> Shell {
        let cargo = cargo.args(["--target", self.target]);
        match &self.ours {
            None => cargo,
            // With a target named, these flags are for the target alone; the encoded form allows blanks in the path.
            Some(ours) => cargo.env("CARGO_ENCODED_RUSTFLAGS", format!("--sysroot\u{1f}{}", ours.display())),
        }
    }
}

fn cargo(set: Option<&debian::Set>, line: &str) -> Shell {
    set.map_or_else(|| Shell::cargo(line), |set| set.cargo(line))
}

fn rustc(set: Option<&debian::Set>, line: &str) -> Shell {
    set.map_or_else(|| Shell::new(&format!("rustc {line}")), |set| set.rustc(line))
}

/// The folder that a compiler takes for its own.
fn real_sysroot(set: Option<&debian::Set>) -> Result<PathBuf> {
    Ok(PathBuf::from(rustc(set, "--print sysroot").read()?))
}

fn sysroot_in(folder: &Path) -> PathBuf {
    folder.join("sysroot")
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

/// What `rustup target add` would have given: the target's libraries, and links to the compiler's own.
fn build_std(target: &str, set: Option<&debian::Set>, ours: &Path, folder: &Path) -> Result<()> {
    let real = real_sysroot(set)?;
    let rustlib = ours.join("lib").join("rustlib");
    fs::create_dir_all(rustlib.join("src").join("rust"))?;
    link(&folder.join("library"), &rustlib.join("src").join("rust").join("library"))?;
    let host = rustc(set, "--print host-tuple").read()?;
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
    // What is only linted is never linked: its machine code is made in half the time and thrown away.
    let level = if target == macos::TARGET { 0 } else { 3 };
    let package =
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[profile.release]\ndebug = 0";
    fs::write(empty.join("Cargo.toml"), format!("{package}\nopt-level = {level}\n"))?;
    let vendor = folder.join("library").join("vendor");
    println!("Building the standard library for {target}.");
    let line = "build --quiet --offline --release --target-dir target \
                -Zbuild-std=std,panic_abort,panic_unwind,proc_macro,test --config source.crates-io.replace-with=\"vendored\"";
    let vendored = format!("source.vendored.directory=\"{}\"", vendor.display());
    let build = cargo(set, line).args(["--target", target, "--config", &vendored]);
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
