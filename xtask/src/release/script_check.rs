//! The step `install-sh`: a release of this machine's program is made twice with the same bytes, its wheel installed by pip, and
//! the rest served on loopback: install.sh installs it in each shell that is here, and removes it without a trace. Wrong files
//! install nothing.

use crate::{
    packages::{self, CLIENTS},
    release::{
        Options, file_server::FileServer, make, parts, parts::Built, platforms::Platform, sha256, sign::Key, stripped, version,
    },
    shell::{Shell, target},
    test::Outcome,
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const SHELLS: [&[&str]; 3] = [&["dash"], &["bash", "--posix"], &["busybox", "sh"]];
/// The profiles that are there before, with texts that a careless edit changes.
const PROFILES: [(&str, &str); 3] = [(".profile", "# mine\n"), (".bashrc", "no line break at the end"), (".zshrc", "")];

/// Makes, serves, installs, uses and removes it.
pub(crate) fn check() -> Result<Outcome> {
    let Some(platform) = Platform::here().filter(|platform| platform.os == "linux") else {
        return Ok(Outcome::Skipped("install.sh is tested on Linux".to_owned()));
    };
    let place = target().join("install-check");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    packages::ensure(&CLIENTS)?;
    let keys = ["key.pem", "other.pem"].map(|name| place.join(name));
    for key in &keys {
        Shell::new("openssl genpkey -algorithm ed25519 -out").arg(key).read()?;
    }
    let list = vec![Built { platform, program: stripped(&place)?, tray: None }];
    let options = |out| Options {
        url: "http://unused.invalid".into(),
        key: Some(keys[0].clone()),
        out: place.join(out),
        packages: Vec::new(),
        build_paths_allowed: true,
    };
    let made = make(list.clone(), &options("release"))?;
    for (one, other) in made.iter().zip(make(list, &options("again"))?) {
        ensure!(fs::read(one)? == fs::read(&other)?, "two runs made different bytes: {} and {}", one.display(), other.display());
    }
    wheel(&made, &place)?;
    let here = |shell: &&&[&str]| Shell::program(shell[0]).args(&shell[1..]).args(["-c", "true"]).succeeds();
    let shells: Vec<_> = SHELLS.iter().filter(here).collect();
    ensure!(shells.len() > 1, "only {shells:?} are here");
    let archive = format!("leeward-{}-{}.tar.gz", version()?, platform.id);
    for shell in &shells {
        let home = Home::new(&place.join(shell[0]), shell)?;
        good(&home, &place.join("release"))?;
        for fault in FAULTS {
            bad(&home, &place, &archive, &keys, fault)?;
        }
    }
    fs::remove_dir_all(&place)?;
    Ok(Outcome::PassedWith(shells.iter().map(|shell| shell[0]).collect::<Vec<_>>().join(", ")))
}

/// pip installs the wheel by itself, and takes away every file of it.
fn wheel(made: &[PathBuf], place: &Path) -> Result<()> {
    let wheel = made.iter().find(|file| file.extension().is_some_and(|end| end == "whl")).context("no wheel was made")?;
    let venv = place.join("venv");
    Shell::new("python3 -m venv").arg(&venv).read()?;
    let pip = |line: &str| {
        let pip = Shell::program(venv.join("bin").join("python")).args(["-m", "pip", "--disable-pip-version-check"]);
        pip.args(line.split_whitespace())
    };
    pip("install --no-index --no-deps").arg(wheel).read()?;
    let program = venv.join("bin").join("leeward");
    let said = Shell::program(&program).arg("--version").read()?;
    ensure!(said == format!("leeward {}", version()?), "the wheel's program says `{said}`");
    pip("uninstall --yes leeward").read()?;
    let mut left = Vec::new();
    parts::files(&venv, "", &mut left)?;
    let left: Vec<_> = left.into_iter().map(|entry| entry.path).filter(|path| path.contains("leeward")).collect();
    ensure!(left.is_empty(), "these are left after the wheel was removed: {left:?}");
    Ok(())
}

/// A user's home, and the shell that runs the script.
struct Home<'a> {
    folder: PathBuf,
    shell: &'a [&'a str],
    before: Vec<(String, Vec<u8>)>,
}

impl<'a> Home<'a> {
    fn new(folder: &Path, shell: &'a [&'a str]) -> Result<Self> {
        fs::create_dir_all(folder)?;
        for (name, text) in PROFILES {
            fs::write(folder.join(name), text)?;
        }
        let mut home = Self { folder: folder.to_owned(), shell, before: Vec::new() };
        home.before = home.content()?;
        Ok(home)
    }

    /// The shell with no variable of ours.
    fn sh(&self) -> Command {
        let mut command = Command::new(self.shell[0]);
        command.args(&self.shell[1..]).current_dir(&self.folder).env_clear();
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &self.folder);
        command
    }

    fn install(&self, script: &Path, url: &str, words: &[&str]) -> Result<Output> {
        Ok(self.sh().arg(script).args(words).env("LEEWARD_RELEASE_URL", url).output()?)
    }

    /// Every file below the home.
    fn content(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut entries = Vec::new();
        parts::files(&self.folder, "", &mut entries)?;
        let mut content: Vec<_> = entries.into_iter().map(|entry| (entry.path, entry.bytes)).collect();
        content.sort();
        Ok(content)
    }

    /// Nothing but what was there before.
    fn is_as_before(&self) -> Result<()> {
        let names = |list: &[(String, Vec<u8>)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let now = self.content()?;
        ensure!(now == self.before, "{:?} were there, and now there are {:?}", names(&self.before), names(&now));
        ensure!(!self.folder.join(".local").exists(), "an empty ~/.local is left");
        Ok(())
    }
}

fn says(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned()).concat()
}

fn good(home: &Home, release: &Path) -> Result<()> {
    let server = FileServer::start(release)?;
    let script = release.join("install.sh");
    let output = home.install(&script, &server.url(), &[])?;
    let said = says(&output);
    print!("{said}");
    ensure!(output.status.success() && said.contains("in a new terminal: leeward wrap claude"), "install.sh said: {said}");
    let profile = |name: &str| fs::read_to_string(home.folder.join(name)).with_context(|| format!("no {name}"));
    for (name, before) in PROFILES {
        let text = profile(name)?;
        ensure!(text.starts_with(before) && text.contains("/.local/bin:$PATH"), "{name}: {text}");
    }
    let version = format!("leeward {}\n", version()?);
    let found = home.sh().args(["-c", ". ./.profile && leeward --version"]).output()?;
    ensure!(says(&found) == version, "by the profile's PATH: {}", says(&found));
    let installed = home.content()?;
    let again = home.install(&script, &server.url(), &[])?;
    ensure!(again.status.success(), "the second install: {}", says(&again));
    ensure!(home.content()? == installed, "a second install of the same version changed files");
    let removed = home.install(&script, "http://unused.invalid", &["--uninstall"])?;
    ensure!(removed.status.success(), "--uninstall: {}", says(&removed));
    home.is_as_before()?;
    edited_meanwhile(home, &script, &server.url())?;
    let nothing = home.install(&script, "http://unused.invalid", &["--uninstall"])?;
    ensure!(!nothing.status.success() && says(&nothing).contains("nothing is installed"), "{}", says(&nothing));
    let plain = home.install(&script, &server.url(), &["--no-modify-path", "--prefix", "elsewhere"])?;
    ensure!(plain.status.success() && says(&plain).contains("elsewhere/bin/leeward wrap claude"), "{}", says(&plain));
    ensure!(profile(".profile")? == PROFILES[0].1, "--no-modify-path changed .profile");
    let removed = home.install(&script, "", &["--uninstall", "--prefix", "elsewhere"])?;
    ensure!(removed.status.success(), "--uninstall: {}", says(&removed));
    home.is_as_before()
}

/// Lines that were added to a profile after the install stay.
fn edited_meanwhile(home: &Home, script: &Path, url: &str) -> Result<()> {
    ensure!(home.install(script, url, &[])?.status.success(), "the install failed");
    let file = home.folder.join(".bashrc");
    let text = fs::read_to_string(&file)? + "added later\n";
    fs::write(&file, text)?;
    ensure!(home.install(script, url, &["--uninstall"])?.status.success(), "--uninstall failed");
    let left = fs::read_to_string(&file)?;
    ensure!(left == format!("{}\nadded later\n", PROFILES[1].1), "an edited profile became: {left}");
    fs::write(file, PROFILES[1].1)?;
    home.is_as_before()
}

/// What is wrong with the files on the server.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Changed,
    Cut,
    CutOnItsWay,
    Unsigned,
    OtherKey,
    OtherRelease,
    CommentChanged,
    ChangedWithScript,
    ScriptCut,
}

const FAULTS: [(Fault, &str); 9] = [
    (Fault::Changed, "its checksum is"),
    (Fault::Cut, "its checksum is"),
    (Fault::CutOnItsWay, "can't fetch"),
    (Fault::Unsigned, "can't fetch"),
    (Fault::OtherKey, "is wrong"),
    (Fault::OtherRelease, "is for \"leeward 0.0.1"),
    (Fault::CommentChanged, "is wrong"),
    (Fault::ChangedWithScript, "is wrong"),
    // Cut before its last line: it runs nothing and says nothing.
    (Fault::ScriptCut, ""),
];

fn bad(home: &Home, place: &Path, archive: &str, keys: &[PathBuf; 2], (fault, word): (Fault, &str)) -> Result<()> {
    let (release, folder) = (place.join("release"), place.join("bad"));
    fs::create_dir_all(&folder)?;
    let (sealed, signature, script) = (folder.join(archive), format!("{archive}.minisig"), folder.join("install.sh"));
    for name in [archive, &signature, "install.sh"] {
        fs::copy(release.join(name), folder.join(name))?;
    }
    let mut bytes = fs::read(&sealed)?;
    let text = fs::read_to_string(&script)?;
    let comment = format!("leeward {} {archive}", version()?);
    let sign = |key: &Path, comment: &str| Key::read(key, &place.join("signing"))?.sign(&sealed, comment);
    match fault {
        Fault::Changed | Fault::ChangedWithScript => {
            let before = sha256(&bytes);
            bytes[100] ^= 1;
            fs::write(&sealed, &bytes)?;
            if matches!(fault, Fault::ChangedWithScript) {
                fs::write(&script, text.replace(&before, &sha256(&bytes)))?;
            }
        }
        Fault::Cut => fs::write(&sealed, &bytes[..bytes.len() / 2])?,
        Fault::CutOnItsWay => {}
        Fault::Unsigned => fs::remove_file(folder.join(&signature))?,
        Fault::OtherKey => fs::write(folder.join(&signature), sign(&keys[1], &comment)?)?,
        Fault::OtherRelease => {
            let comment = comment.replace(&version()?, "0.0.1");
            fs::write(folder.join(&signature), sign(&keys[0], &comment)?)?;
        }
        Fault::CommentChanged => {
            let old = sign(&keys[0], &comment.replace(&version()?, "0.0.1"))?;
            fs::write(folder.join(&signature), old.replace("0.0.1", &version()?))?;
        }
        Fault::ScriptCut => fs::write(&script, &text[..text.len() * 9 / 10])?,
    }
    let server = FileServer::start(&folder)?;
    if matches!(fault, Fault::CutOnItsWay) {
        server.cut();
    }
    let output = home.install(&script, &server.url(), &[])?;
    let said = says(&output);
    println!("{fault:?}: {}", said.lines().last().unwrap_or_default());
    ensure!(
        !output.status.success() && said.contains(word),
        "{fault:?}: install.sh ended with {} and said: {said}",
        output.status
    );
    home.is_as_before()
}
