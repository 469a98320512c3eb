//! `cargo xtask test`: every check CI makes, in order, named and timed. The first failure ends it.

use crate::{
    bench, clients, fuzz, installed, macos,
    packages::{self, HEADLESS},
    release,
    shell::{PROGRAMS, Shell, root},
    soak,
    sysroot::Compiler,
    tray, ui, windows,
};
use anyhow::{Result, bail};
use std::{
    fmt,
    process::ExitCode,
    time::{Duration, Instant},
};

/// How a step ended when it did not fail.
pub(crate) enum Outcome {
    /// It ran and passed.
    Passed,
    /// It ran and passed, but not with what it usually runs with.
    PassedWith(String),
    /// It did not run, for this reason.
    Skipped(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::PassedWith(what) => write!(f, "passed, with {what}"),
            Self::Skipped(why) => write!(f, "SKIP: {why}"),
        }
    }
}

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<Outcome>,
}

/// The headless steps come first: they prove that nothing of the desktop is needed.
const STEPS: &[Step] = &[
    Step { name: "format", what: "rustfmt has nothing to change", run: || passed(format()) },
    Step { name: "clippy", what: "lints of the headless build, warnings are errors", run: clippy },
    Step { name: "doc", what: "documentation, private items included", run: doc },
    Step { name: "clients", what: "the agents' SDKs, from their lock files", run: || passed(clients::install()) },
    Step { name: "test", what: "the headless tests, real clients included", run: test },
    Step { name: "soak", what: "two minutes of random faults, restarts and network events", run: || passed(soak::two_minutes()) },
    Step { name: "fuzz", what: "half a minute of coverage-guided fuzzing for each parser", run: fuzz::all },
    Step { name: "bench", what: "the benchmark and the torture still run, nginx beside Leeward", run: bench::smoke },
    Step { name: "deny", what: "licences and advisories of the dependencies", run: deny },
    Step { name: "ui-install", what: "the panel's dependencies, from their lock file", run: || passed(ui::install()) },
    Step { name: "ui-check", what: "the panel's types", run: || passed(ui::check()) },
    Step { name: "ui-test", what: "the panel's unit tests", run: || passed(ui::unit_tests()) },
    Step { name: "ui-build", what: "the panel's page", run: || passed(ui::build()) },
    Step { name: "ui-browser", what: "the page in Chromium on the real engine", run: browser },
    Step { name: "npm", what: "the npm packages: made, installed, used, removed", run: release::npm_check::check },
    Step {
        name: "install-sh",
        what: "a release: made twice, its wheel and install.sh used, wrong files refused",
        run: release::script_check::check,
    },
    Step { name: "windows", what: "lints of the Windows build", run: || windows::check(Compiler::Pinned) },
    Step {
        name: "windows-wine",
        what: "the Windows build under Wine: unit tests, contracts, and a server with a Linux client",
        run: || windows::run(Compiler::Pinned),
    },
    Step {
        name: "windows-tray",
        what: "lints of the Windows tray, and its unit tests under Wine",
        run: || windows::check_tray(Compiler::Pinned),
    },
    Step { name: "macos", what: "lints of the macOS build, the tray included", run: macos::check },
    Step { name: "tray-clippy", what: "lints of the tray", run: || passed(tray::clippy()) },
    Step { name: "tray-test", what: "the real tray on a virtual display", run: || passed(tray::tests()) },
    Step { name: "bundle", what: "the Debian package: made, installed in a clean Debian, used, removed", run: installed::check },
];

/// Runs all steps, or those that are named.
pub(crate) fn run(names: Vec<String>) -> Result<ExitCode> {
    if names == ["--list"] {
        STEPS.iter().for_each(|step| println!("{:<12} {}", step.name, step.what));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = names.iter().find(|name| !STEPS.iter().any(|step| step.name == **name)) {
        bail!("there is no step `{unknown}`; `cargo xtask test --list` names them");
    }
    let chosen: Vec<_> = STEPS.iter().filter(|step| names.is_empty() || names.iter().any(|n| n == step.name)).collect();
    let begun = Instant::now();
    let mut report = Vec::new();
    for (at, step) in chosen.iter().enumerate() {
        println!("\n== {}/{} {}: {} ==", at + 1, chosen.len(), step.name, step.what);
        let since = Instant::now();
        let outcome = (step.run)();
        let took = seconds(since.elapsed());
        match outcome {
            Ok(outcome) => {
                println!("-- {} {outcome} ({took})", step.name);
                report.push((step.name, took, outcome));
            }
            Err(error) => {
                eprintln!("\nFAILED: step `{}` after {took}: {error:#}", step.name);
                eprintln!("Repeat it alone with `cargo xtask test {}`.", step.name);
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    println!();
    report.iter().for_each(|(name, took, outcome)| println!("{name:<12} {took:>9}  {outcome}"));
    let skipped = report.iter().filter(|(_, _, outcome)| matches!(outcome, Outcome::Skipped(_))).count();
    println!("\n{} steps passed, {skipped} skipped, in {}", report.len() - skipped, seconds(begun.elapsed()));
    Ok(ExitCode::SUCCESS)
}

fn passed(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

/// Those that are no members of the workspace, too.
fn format() -> Result<()> {
    Shell::cargo("fmt --all --check").run()?;
    ["fuzz", "benches/pingora"].into_iter().try_for_each(|folder| Shell::cargo("fmt --check").within(root().join(folder)).run())
}

fn clippy() -> Result<Outcome> {
    packages::ensure(&HEADLESS)?;
    passed(Shell::cargo("clippy --locked --workspace --all-targets -- -D warnings").run())
}

/// Bare URLs are allowed: the comments of config keys are also the comments of the default config file. There are no examples:
/// naming them turns on the tests' features, with which the step before has checked all dependencies.
fn doc() -> Result<Outcome> {
    let doc = Shell::cargo("doc --locked --workspace --lib --examples --no-deps --document-private-items");
    passed(doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::bare-urls").run())
}

/// `LEEWARD_CLIENTS` turns the real clients from "skip" into "must be there".
fn test() -> Result<Outcome> {
    let test = Shell::cargo("test --locked --workspace");
    passed(test.env("LEEWARD_CLIENTS", "1").env("LEEWARD_PYTHON", clients::python()).run())
}

fn browser() -> Result<Outcome> {
    Shell::cargo(PROGRAMS).run()?;
    passed(ui::browser_test())
}

/// Optional: not every machine has the tool, nor reaches the database of advisories.
fn deny() -> Result<Outcome> {
    if !Shell::cargo("deny --version").succeeds() {
        return Ok(Outcome::Skipped("cargo-deny is not installed (`cargo install cargo-deny`)".into()));
    }
    Shell::cargo("deny check bans licenses sources").run()?;
    if !Shell::cargo("deny fetch db").succeeds() {
        return Ok(Outcome::Skipped("advisories: their database cannot be fetched; bans, licences and sources passed".into()));
    }
    passed(Shell::cargo("deny check advisories").run())
}

fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f32();
    if seconds < 60.0 { format!("{seconds:.1} s") } else { format!("{} min {:02.0} s", time.as_secs() / 60, seconds % 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_step_is_named_and_nothing_runs() {
        let error = run(vec!["clipy".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("`clipy`") && error.contains("--list"), "{error}");
    }

    #[test]
    fn the_headless_steps_come_before_those_that_install_a_desktop() {
        let place = |name| STEPS.iter().position(|step| step.name == name).unwrap();
        assert!(place("test") < place("tray-clippy") && place("ui-build") < place("tray-clippy"));
    }

    #[test]
    fn times_are_short() {
        assert_eq!(seconds(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(605)), "10 min 05 s");
    }
}
