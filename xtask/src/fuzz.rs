//! `cargo xtask fuzz`: the targets of `fuzz/`, each for a while, two at a time. Installs cargo-fuzz below the target folder.
//!
//! On the stable compiler: coverage is LLVM's, and the address sanitizer would look after unsafe code, of which the crate has
//! none.

use crate::{
    packages::{self, HEADLESS},
    shell::{Shell, root, target},
    test::Outcome,
};
use anyhow::{Context, Result, anyhow, bail};
use std::{
    fs::{self, File},
    path::PathBuf,
    process::ExitCode,
};

/// The release that the targets were tried with.
const CARGO_FUZZ: &str = "0.13.2";
/// What is fuzzed: a program of `fuzz/targets` each.
const TARGETS: [&str; 8] = ["sse", "head", "config", "headers", "control", "coding", "connect", "hello"];
/// Unless the command line says otherwise.
const SECONDS: u64 = 60;
/// In the step of `cargo xtask test`, which begins with what the repository keeps: whoever has changed a parser gives it more.
const SMOKE: u64 = 30;
/// Lines shown of a failure that names no panic.
const SHOWN: usize = 100;
/// Lines shown before a panic.
const BEFORE: usize = 2;
/// Of the targets at the same time.
const AT_ONCE: usize = 2;

/// `cargo xtask fuzz [--seconds N] [TARGET…]`
pub(crate) fn run(words: Vec<String>) -> Result<ExitCode> {
    let (mut seconds, mut chosen) = (SECONDS, Vec::new());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => seconds = words.next().context("--seconds needs a number")?.parse().context("--seconds")?,
            name if TARGETS.contains(&name) => chosen.push(name.to_owned()),
            other => bail!("there is no target `{other}`; there are {}", TARGETS.join(", ")),
        }
    }
    if chosen.is_empty() {
        chosen = TARGETS.map(str::to_owned).to_vec();
    }
    fuzz(&chosen, seconds)?;
    Ok(ExitCode::SUCCESS)
}

/// The step of `cargo xtask test`.
pub(crate) fn all() -> Result<Outcome> {
    if !cfg!(target_os = "linux") {
        return Ok(Outcome::Skipped("it is tried on Linux only".into()));
    }
    fuzz(&TARGETS.map(str::to_owned), SMOKE).map(|()| Outcome::Passed)
}

fn fuzz(targets: &[String], seconds: u64) -> Result<()> {
    packages::ensure(&HEADLESS)?;
    let tool = tool()?;
    let cargo_fuzz = |line: &str| Shell::program(&tool).args(["fuzz"]).args(line.split_whitespace()).within(root().join("fuzz"));
    let flags = ["--sanitizer", "none", "--target-dir"];
    let built = target().join("fuzz");
    cargo_fuzz("build").args(flags).arg(&built).run()?;
    for pair in targets.chunks(AT_ONCE) {
        let mut running = Vec::new();
        for name in pair {
            // What is found goes into the first folder; the second, kept in the repository, is only read.
            let found = target().join("fuzz-corpus").join(name);
            fs::create_dir_all(&found)?;
            let run = cargo_fuzz("run")
                .args(flags)
                .arg(&built)
                .arg(name)
                .arg(&found)
                .arg(root().join("fuzz").join("corpus").join(name));
            let run = run
                .args(["--", "-timeout=20", "-rss_limit_mb=4096", "-print_final_stats=1"])
                .arg(format!("-max_total_time={seconds}"));
            // A file each: two that talk into one stream hide what a failure says.
            let log = target().join(format!("fuzz-{name}.log"));
            println!("$ {run}");
            running.push((name, run.both_to(&File::create(&log)?)?.spawn()?, log));
        }
        let mut failed = Ok(());
        for (name, mut child, log) in running {
            let status = child.wait()?;
            let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
            if !status.success() {
                println!("{}", what_failed(&said));
                failed = failed
                    .and(Err(anyhow!("the target `{name}` ended with {status}; what it met lies in fuzz/artifacts/{name}")));
                continue;
            }
            let runs = said.lines().rfind(|line| line.starts_with("Done ")).unwrap_or("nothing is known of its runs");
            println!("{name}: {runs}");
        }
        failed?;
    }
    Ok(())
}

/// Of all that a target said the end: from a little before its panic (its upstream says what it was sent, and aborts) on. Before
/// that stands what was found, thousands of lines of it.
fn what_failed(said: &str) -> String {
    let lines: Vec<_> = said.lines().collect();
    let panic = lines.iter().position(|line| line.contains(" panicked at ") || line.starts_with("=="));
    let from = panic.unwrap_or(lines.len()).saturating_sub(if panic.is_some() { BEFORE } else { SHOWN });
    lines[from..].join("\n")
}

/// cargo-fuzz of the wanted release, built without optimisation: it only starts what fuzzes.
fn tool() -> Result<PathBuf> {
    let home = target().join("tools");
    let tool = home.join("bin").join(format!("cargo-fuzz{}", std::env::consts::EXE_SUFFIX));
    let version = |tool: &PathBuf| Shell::program(tool).args(["fuzz", "--version"]).read();
    if !tool.exists() || !version(&tool).is_ok_and(|said| said.ends_with(CARGO_FUZZ)) {
        let install = Shell::cargo("install --quiet --debug --locked --version").arg(CARGO_FUZZ).arg("--root").arg(&home);
        install.arg("cargo-fuzz").run()?;
    }
    Ok(tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_are_those_that_exist() {
        let files = fs::read_dir(root().join("fuzz").join("targets")).unwrap().flatten();
        let mut names: Vec<_> = files.map(|file| file.path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        let mut known = TARGETS;
        known.sort_unstable();
        assert_eq!(names, known);
        assert!(known.iter().all(|name| root().join("fuzz").join("corpus").join(name).is_dir()));
    }

    #[test]
    fn a_failure_is_told_from_its_panic_on() {
        let end = "broken chunks: x\n\nthread '<unnamed>' (7) panicked at targets/head.rs:24:5:\nBase64: UFJJ";
        assert_eq!(what_failed(&format!("#1\tNEW\n#2\tNEW\n{end}")), end);
        assert_eq!(what_failed("no such file"), "no such file");
    }

    #[test]
    fn an_unknown_target_is_named() {
        let error = run(vec!["ssse".into()]).unwrap_err().to_string();
        assert!(error.contains("`ssse`") && error.contains("sse, head"), "{error}");
    }
}
