//! `cargo xtask soak`: builds the soak of `tests/soak.rs` and runs it. Decides nothing about what it does.

use crate::{
    packages::{self, HEADLESS},
    shell::Shell,
};
use anyhow::{Context, Result, bail};
use std::process::ExitCode;

/// Long enough for a few of its rounds.
const MINUTES: f64 = 2.0;
/// What the step of `cargo xtask test` throws.
const SEED: u64 = 81;

/// What the command line says.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    minutes: f64,
    seed: Option<u64>,
}

impl Options {
    /// `--minutes N` and `--seed S`.
    pub(crate) fn parse(words: Vec<String>) -> Result<Self> {
        let mut options = Self { minutes: MINUTES, seed: None };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut number = || words.next().with_context(|| format!("{word} needs a number"));
            match word.as_str() {
                "--minutes" => options.minutes = number()?.parse().context("--minutes")?,
                "--seed" => options.seed = Some(number()?.parse().context("--seed")?),
                _ => bail!("`cargo xtask soak` does not know `{word}`; it knows --minutes N and --seed S"),
            }
        }
        if !(options.minutes > 0.0 && options.minutes < 100_000.0) {
            bail!("--minutes must be more than 0");
        }
        Ok(options)
    }
}

/// Runs it for as long as was asked.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    packages::ensure(&HEADLESS)?;
    let mut soak = Shell::cargo("test --locked --workspace --test soak --").arg("--minutes").arg(options.minutes.to_string());
    if let Some(seed) = options.seed {
        soak = soak.arg("--seed").arg(seed.to_string());
    }
    // glibc keeps freed memory in as many heaps as there are threads, which would look like a leak.
    soak.env("MALLOC_ARENA_MAX", "1").env("MALLOC_MMAP_THRESHOLD_", "131072").run()?;
    Ok(ExitCode::SUCCESS)
}

/// The step of `cargo xtask test`: the same seed each time, so that a change is judged by itself and not by the dice. The
/// command without `--seed` throws new ones.
pub(crate) fn two_minutes() -> Result<()> {
    run(Options { minutes: MINUTES, seed: Some(SEED) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn minutes_and_seed_are_read() {
        assert_eq!(parsed("").unwrap(), Options { minutes: MINUTES, seed: None });
        assert_eq!(parsed("--seed 7 --minutes 0.5").unwrap(), Options { minutes: 0.5, seed: Some(7) });
        for line in ["--minutes", "--minutes x", "--minutes 0", "--minutes -1", "--minutes NaN", "--seed", "--sed 1"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
