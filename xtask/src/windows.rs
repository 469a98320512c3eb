//! `cargo xtask windows`: the Windows build on a Linux machine. Linted, built, and run under Wine: its unit tests, and
//! `leeward.exe` as a server of its own with a Linux client beside it (`tests/wine.rs`).
//!
//! Wine's sockets are Linux's: it shows how the Windows build behaves on the Windows API, not how Windows' kernel does.

mod wine;

use crate::{
    packages::{self, WINDOWS, WINE},
    shell::Shell,
    sysroot::{Compiler, Sysroot},
    test::Outcome,
    ui,
};
use anyhow::{Result, bail};

/// What is built for.
const TARGET: &str = "x86_64-pc-windows-gnu";

/// Unit tests that say something about Windows, and not about Wine: its closing of a socket sends no reset to whom the
/// demo's faults are shown, and its certificate store refuses what Windows' takes.
const NOT_UNDER_WINE: &[&str] = &[
    "demo::client::tests::a_session_keeps_its_connection_as_long_as_it_lasts",
    "demo::client::tests::names_what_went_wrong",
    "demo::upstream::tests::a_next_request_meets_its_end_at_its_first_byte",
    "demo::upstream::tests::cuts_are_where_they_are_said_to_be",
    "demo::upstream::tests::each_fault_looks_as_it_is_called",
    "proxy::upstream::tls::tests::certificates_that_could_not_be_read_are_read_again_at_the_next_dial",
];

/// What the command line says.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    check: bool,
    compiler: Compiler,
}

impl Options {
    /// `--check` and `--debian-compiler`.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self { check: false, compiler: Compiler::Pinned };
        for word in words {
            match word.as_str() {
                "--check" => options.check = true,
                "--debian-compiler" => options.compiler = Compiler::Debian,
                _ => bail!("`cargo xtask windows` does not know `{word}`; it knows --check and --debian-compiler"),
            }
        }
        Ok(options)
    }
}

/// Everything of the command: lints, the build under Wine, and the tray if the panel's page is there; or the lints alone.
pub(crate) fn command(options: &Options) -> Result<()> {
    let compiler = options.compiler;
    let linted = check(compiler)?;
    if options.check {
        println!("{linted}");
        return Ok(());
    }
    let ran = run(compiler)?;
    let no_panel = || Outcome::Skipped("no panel; `cargo xtask test ui-build` makes it".into());
    let tray = if ui::is_built() { check_tray(compiler)? } else { no_panel() };
    println!("lints: {linted}; under Wine: {ran}; the tray: {tray}");
    Ok(())
}

/// Lints of engine, CLI and their tests for Windows, or the reason why they cannot run here.
pub(crate) fn check(compiler: Compiler) -> Result<Outcome> {
    with(compiler, |sysroot| {
        sysroot.lint("--locked --package leeward-windows --package leeward-tray --lib --bin leeward --tests").run()
    })
}

/// Lints of the tray, which needs the panel's page, and its unit tests under Wine: the registry, paths, what is refused.
pub(crate) fn check_tray(compiler: Compiler) -> Result<Outcome> {
    with(compiler, |sysroot| {
        sysroot.lint("--locked --features tray --bin leeward-tray").run()?;
        if !packages::on_debian() {
            return Ok(());
        }
        under_wine(|wine| {
            // WebView2's loader lies beside the programs, not beside their tests.
            let loader = format!("Z:{}", sysroot.debug().display());
            let tests = sysroot.cargo("test --locked --features tray --bin leeward-tray").env("WINEPATH", loader);
            wine.around(tests).run()
        })
    })
}

/// The Windows build under Wine, or the reason why it cannot run here.
pub(crate) fn run(compiler: Compiler) -> Result<Outcome> {
    if !packages::on_debian() {
        return Ok(Outcome::Skipped(
            "the Windows build runs under Debian's Wine only; on Windows itself run `cargo test`".into(),
        ));
    }
    with(compiler, |sysroot| {
        under_wine(|wine| {
            sysroot.cargo("build --locked --bin leeward").run()?;
            // The unit tests of every room: what is about Unix alone says so itself.
            let skipped = NOT_UNDER_WINE.iter().flat_map(|name| ["--skip", name]);
            println!("Left out under Wine, with the reason in xtask/src/windows.rs: {}", NOT_UNDER_WINE.join(", "));
            wine.around(sysroot.cargo("test --locked --lib").arg("--").args(skipped)).run()?;
            wine.around(sysroot.cargo("test --locked --package leeward-windows --lib")).run()?;
            let exe = sysroot.debug().join("leeward.exe");
            let beside = Shell::cargo("test --locked --test wine")
                .env("LEEWARD_WINE", wine::PROGRAM)
                .env("LEEWARD_WINDOWS_EXE", &exe)
                .env("LEEWARD_WINDOWS_AGENT", wine.agent())
                .env("LEEWARD_WINDOWS_SETUP", wine.setup(&exe)?);
            wine.around(beside).run()
        })
    })
}

fn with(compiler: Compiler, work: impl FnOnce(&Sysroot) -> Result<()>) -> Result<Outcome> {
    packages::ensure(&WINDOWS)?;
    Sysroot::with(TARGET, compiler, work)
}

/// Whatever comes of it, nothing runs on in the prefix.
fn under_wine(work: impl FnOnce(&wine::Wine) -> Result<()>) -> Result<()> {
    packages::ensure(&WINE)?;
    let wine = wine::Wine::ready()?;
    let done = work(&wine);
    wine.end();
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn debians_compiler_is_taken_when_it_is_asked_for() {
        assert_eq!(parsed("").unwrap(), Options { check: false, compiler: Compiler::Pinned });
        assert_eq!(parsed("--debian-compiler --check").unwrap(), Options { check: true, compiler: Compiler::Debian });
        let error = parsed("--debian").unwrap_err().to_string();
        assert!(error.contains("`--debian`") && error.contains("--debian-compiler"), "{error}");
    }
}
