//! `cargo xtask run` and `cargo xtask test`: the README's two commands. Sets up, builds, starts, checks; is no part of the product.

#![allow(clippy::disallowed_methods, reason = "a build tool reads its environment; the rule protects the engine")]

mod bench;
mod bundle;
mod clean_root;
mod clients;
mod fuzz;
mod installed;
mod link;
mod macos;
mod notices;
mod packages;
mod release;
mod run;
mod shell;
mod soak;
mod sysroot;
mod test;
mod tray;
mod ui;
mod windows;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
Usage:
  cargo xtask run [--release] [--tray] [-- ARGS…]   set up, build, start the tray (without a display: `leeward serve ARGS…`)
  cargo xtask run --demo [--release] [-- ARGS…]     set up, build, run `leeward demo ARGS…`
  cargo xtask test [STEP…]                          everything CI checks, or only the named steps, in order
  cargo xtask test --list                           the steps
  cargo xtask bundle [FORMAT…]                      the packages of this system: .deb and .rpm; .app and .dmg; .exe and .msi
  cargo xtask package npm [--program PATH]          the packages for npm, of a release build or of programs that are built
  cargo xtask release --url URL [--key FILE]        the folder that is published, of programs that are built: --program PATH
  cargo xtask soak [--minutes N] [--seed S]         random faults, restarts and network events; 2 minutes unless told otherwise
  cargo xtask bench [--all] [ARGS…]                 Leeward beside other proxies, as a table: docs/benchmarks.md
  cargo xtask torture [--all] [ARGS…]               the same faults for each of them, as a table: docs/torture.md
  cargo xtask fuzz [--seconds N] [TARGET…]          coverage-guided fuzzing of what parses bytes from outside
  cargo xtask windows [--check] [--debian-compiler] the Windows build on Debian, run under Wine, or linted; the second flag
                                                    takes Debian's own compiler, as happens without source for the pinned one";

fn main() -> ExitCode {
    match dispatch(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(mut words: Vec<String>) -> Result<ExitCode> {
    let command = if words.is_empty() { String::new() } else { words.remove(0) };
    match command.as_str() {
        "run" => run::run(run::Options::parse(words)?),
        "test" => test::run(words),
        "bundle" => bundle::run(words),
        "release" => release::run(words),
        "package" => release::npm::run(words),
        "bench" => bench::run(bench::Kind::Bench, words),
        "torture" => bench::run(bench::Kind::Torture, words),
        "fuzz" => fuzz::run(words),
        "soak" => soak::run(soak::Options::parse(words)?),
        "windows" => windows::command(&windows::Options::parse(&words)?).map(|()| ExitCode::SUCCESS),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        "" => bail!("name a command\n{USAGE}"),
        other => bail!("there is no command `{}`\n{USAGE}", [&[other.to_owned()], &words[..]].concat().join(" ")),
    }
}
