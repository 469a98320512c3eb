//! `cargo xtask bundle`: the installable packages of this system. The Tauri bundler makes them; here is only what it needs
//! from us: the manual, the completions, and the libraries' versions that a Debian package depends on.

use crate::{
    link, notices,
    packages::{self, BUNDLE},
    shell::{Shell, available, built, root, target},
    tray,
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What is made where no format is named: what needs no download.
const FORMATS: &[&str] = if cfg!(target_os = "linux") {
    &["deb", "rpm"]
} else if cfg!(target_os = "macos") {
    &["app", "dmg"]
} else {
    &["nsis", "msi"]
};
/// Where each shell looks for the completions of installed programs, below the folder that is copied to /usr/share.
/// Distributions differ about zsh: its file stands beside that folder and is copied by its own name.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/leeward"),
    ("zsh", "_leeward"),
    ("fish", "share/fish/vendor_completions.d/leeward.fish"),
];

/// What the packages' build changes in `tauri.conf.json`: the panel is not built again.
pub(crate) const CONFIG: &str = r#"{"build":{"beforeBuildCommand":""}}"#;
/// What Tauri's own command builds with beside the features of `tauri.conf.json`.
pub(crate) const FEATURE: &str = "tauri/custom-protocol";
/// What only the tests ask of the dependencies. A debug build has it too, and so finds them as the tests have left them:
/// cargo builds each dependency once for each set of features.
const TESTS_FEATURES: &str = "tokio/test-util,zbus/service";

/// How the programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// For others.
    Release,
    /// For a test of the package itself: it takes a fraction of the time and finds what other steps have built.
    Debug,
}

impl Profile {
    fn is_release(self) -> bool {
        self == Self::Release
    }

    fn flag(self) -> &'static [&'static str] {
        if self.is_release() { &[] } else { &["--debug"] }
    }

    fn features(self) -> &'static [&'static str] {
        if self.is_release() || !cfg!(target_os = "linux") { &[] } else { &["--features", TESTS_FEATURES] }
    }

    fn folder(self) -> &'static str {
        if self.is_release() { "release" } else { "debug" }
    }
}

/// `cargo xtask bundle [FORMAT…]`.
pub(crate) fn run(formats: Vec<String>) -> Result<ExitCode> {
    if let Some(flag) = formats.iter().find(|word| word.starts_with('-')) {
        bail!("`cargo xtask bundle` does not know `{flag}`; name formats, such as {}", FORMATS.join(" "));
    }
    tray::prepare()?;
    let formats: Vec<_> = formats.iter().map(String::as_str).collect();
    let made = make(if formats.is_empty() { FORMATS } else { &formats }, Profile::Release)?;
    println!();
    for file in &made {
        println!("{}  {}", size(file)?, file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds both programs and the packages; their paths. The panel is built already.
pub(crate) fn make(formats: &[&str], profile: Profile) -> Result<Vec<PathBuf>> {
    packages::ensure(&BUNDLE)?;
    let linked = if profile.is_release() { link::args() } else { String::new() };
    let build = tauri("build --ci --no-bundle").args(profile.flag()).args(profile.features());
    // Unset and empty are two values to cargo, which would build a debug build's programs again.
    if profile.is_release() { link::for_others(build) } else { build }.run()?;
    let staged = target().join("bundle").join("made");
    let config = config(&staged, profile, &linked)?;
    let folder = target().join(profile.folder()).join("bundle");
    // What an earlier run left is not what this one makes.
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    tauri("bundle --ci --no-sign")
        .args(profile.flag())
        .arg("--config")
        .arg(config)
        .arg("--bundles")
        .arg(formats.join(","))
        .run()?;
    let mut made = Vec::new();
    for kind in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?.flatten() {
        made.extend(fs::read_dir(kind.path())?.flatten().map(|file| file.path()).filter(|file| is_package(file)));
    }
    made.sort();
    if made.len() < formats.len() {
        bail!("{} formats were asked for, and {} holds {} packages", formats.len(), folder.display(), made.len());
    }
    Ok(made)
}

fn is_package(file: &Path) -> bool {
    let end = file.extension().unwrap_or_default().to_string_lossy();
    ["deb", "rpm", "AppImage", "app", "dmg", "exe", "msi"].contains(&&*end)
}

/// The build's own command, from the panel's lock file.
fn tauri(line: &str) -> Shell {
    let tauri = root().join("ui").join("node_modules").join("@tauri-apps").join("cli").join("tauri.js");
    let shell = Shell::new("node").arg(tauri).args(line.split_whitespace());
    shell.arg("--config").arg(CONFIG)
}

/// The files and dependencies that only a finished build knows, as an addition to `tauri.conf.json`.
fn config(staged: &Path, profile: Profile, linked: &str) -> Result<String> {
    if !cfg!(target_os = "linux") {
        fs::create_dir_all(staged)?;
        let notices = staged.join("third-party.txt");
        fs::write(&notices, notices::page()?)?;
        let notices = notices.display().to_string();
        return Ok(format!(r#"{{"bundle":{{"resources":{{{notices:?}:"third-party.txt"}}}}}}"#));
    }
    stage(staged, profile)?;
    // Rust's escapes in a quoted string are JSON's, too, as far as paths and package names go.
    let files = |zsh: &str| {
        let [share, completions] = ["share", "_leeward"].map(|part| staged.join(part).display().to_string());
        format!("{{\"/usr/share\":{share:?},\"/usr/share/zsh/{zsh}/_leeward\":{completions:?}}}")
    };
    let (deb, rpm) = (files("vendor-completions"), files("site-functions"));
    let (debian, needs) = link::dependency(linked).unzip();
    let mut depends: Vec<_> = libraries(profile)?.iter().map(|library| format!("{library:?}")).collect();
    depends.extend(debian.map(|library| format!("{library:?}")));
    let (depends, needs) = (depends.join(","), needs.map(|library| format!("{library:?}")).unwrap_or_default());
    Ok(format!(
        r#"{{"bundle":{{"linux":{{"deb":{{"files":{deb},"depends":[{depends}]}},"rpm":{{"files":{rpm},"depends":[{needs}]}}}}}}}}"#
    ))
}

/// What the programs make themselves, the changelog, and the licences of what is in the package.
fn stage(folder: &Path, profile: Profile) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let leeward = built("leeward", profile.is_release());
    let share = folder.join("share");
    let manual = share.join("man").join("man1");
    Shell::program(&leeward).arg("man").arg(&manual).run()?;
    for page in fs::read_dir(&manual)?.flatten() {
        compress(&page.path())?;
    }
    for (shell, place) in COMPLETIONS {
        let file = folder.join(place);
        fs::create_dir_all(file.parent().context("a completion stands in a folder")?)?;
        fs::write(file, Shell::program(&leeward).args(["completions", shell]).read()? + "\n")?;
    }
    let doc = share.join("doc").join("leeward");
    fs::create_dir_all(&doc)?;
    let (changes, notices) = (doc.join("changelog"), doc.join("third-party"));
    fs::copy(root().join("CHANGELOG.md"), &changes)?;
    fs::write(&notices, notices::page()?)?;
    compress(&changes)?;
    compress(&notices)
}

/// Without a time in it: the same content gives the same file.
fn compress(file: &Path) -> Result<()> {
    Shell::new("gzip --best --no-name").arg(file).read().map(drop)
}

/// The libraries that the programs are linked to, each with the oldest version that will do, as Debian's own tool finds them.
fn libraries(profile: Profile) -> Result<Vec<String>> {
    if !packages::on_debian() || !available("dpkg-shlibdeps") {
        return Ok(Vec::new());
    }
    let folder = target().join("bundle").join("shlibdeps");
    fs::create_dir_all(folder.join("debian"))?;
    fs::write(folder.join("debian").join("control"), "Source: leeward\n\nPackage: leeward\nArchitecture: any\n")?;
    let programs = [built("leeward", profile.is_release()), built("leeward-tray", profile.is_release())];
    let found = Shell::new("dpkg-shlibdeps -O").args(programs.iter().map(|p| format!("-e{}", p.display()))).within(folder);
    let found = found.read()?;
    let list = found.strip_prefix("shlibs:Depends=").with_context(|| format!("dpkg-shlibdeps said `{found}`"))?;
    Ok(list.split(", ").map(str::to_owned).collect())
}

/// The bytes of a file, or of all files of a folder (a macOS application is one).
fn bytes(path: &Path) -> Result<u64> {
    if !path.is_dir() {
        return Ok(path.symlink_metadata()?.len());
    }
    fs::read_dir(path)?.map(|entry| bytes(&entry?.path())).sum()
}

fn size(path: &Path) -> Result<String> {
    #[allow(clippy::cast_precision_loss, reason = "shown with one digit")]
    Ok(format!("{:>6.1} MB", bytes(path)? as f64 / 1e6))
}
