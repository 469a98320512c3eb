//! `cargo xtask windows`: the Windows build on a Linux machine. Built, and run under Wine: its unit tests, the contracts that
//! have both ends in one process, and `leeward.exe` as a server of its own with a Linux client beside it (`tests/wine`).
//! With `--check` it is linted instead.
//!
//! Wine's sockets are Linux's: it shows how the Windows build behaves on the Windows API, not how Windows' kernel does.

mod wine;

use crate::{
    packages::{self, WINDOWS, WINE},
    shell::{Shell, built, target},
    sysroot::{Compiler, Sysroot},
    test::Outcome,
    ui,
};
use anyhow::{Result, bail};
use std::{
    fs::{self, File},
    path::PathBuf,
    process::Child,
    time::{Duration, Instant},
};
use wine::Wine;

/// The packages that hold code for Windows, or stand on a socket there.
const PACKAGES: &str = "--package leeward-tray --package leeward-scripted --package leeward-windows";

/// What is built for.
const TARGET: &str = "x86_64-pc-windows-gnu";

/// Unit tests that say something about Windows, and not about Wine: its closing of a socket sends no reset to whom the
/// demo's faults are shown, its certificate store refuses what Windows' takes, and it does not always name who holds a port.
/// It binds addresses that this machine does not have, and a socket's shutdown from outside wakes nobody who reads it there.
/// Of no socket its table names the process, and to make the table of all of them it reads all of `/proc` for each. It brings no
/// `sort`, which Windows has. The last five are those of the crates `windows` and `scripted`.
const NOT_UNDER_WINE: &[&str] = &[
    "coverage::processes::tests::a_child_is_listed_with_its_folder_and_only_the_variables_that_are_asked_for",
    "demo::client::tests::a_session_keeps_its_connection_as_long_as_it_lasts",
    "demo::client::tests::names_what_went_wrong",
    "instance::find::tests::an_instance_that_hangs_is_not_said_to_be_none",
    "socket_owner::tests::a_socket_that_is_not_there_is_nobodys",
    "socket_owner::tests::our_own_",
    "upstream::pool::tests::a_connection_ends_with_the_address_that_it_came_from",
    "upstream::pool::vanished::tests::an_address_of_this_machine_is_told_from_others",
    "upstream::tls::tests::certificates_that_could_not_be_read_are_read_again_at_the_next_dial",
    "owner::tests::both_ends_of_a_connection_are_in_the_table",
    "tests::a_next_request_meets_its_end_at_its_first_byte",
    "tests::cuts_are_where_they_are_said_to_be",
    "tests::each_fault_looks_as_it_is_called",
    "tests::a_connect_leads_to_the_upstream_whatever_it_names_and_resets_come_through",
];

/// The modules of the integration tests that run as a Windows program. Of the others, some start and end programs, at which Wine
/// is slow, or need a shell; some take minutes there (`table`, `storm`), or are no more about Windows than these.
const CONTRACTS: &[&str] = &[
    "circuit::",
    "faults::",
    "handover::",
    "listener::",
    "network::",
    "panel_api::",
    "refuse::",
    "request::",
    "restart::",
    "stream::",
    "takeover::",
];

/// Left out of them: with both ends under Wine thousands of sockets keep its server busy for minutes, and it reads all of `/proc`
/// to say who holds a port.
const TOO_SLOW: &[&str] = &[
    "listener::l7_a_taken_port_is_named_and_stepped_over",
    "listener::l8_thousands_of_idle_clients_stay",
    "restart::the_address_that_is_served_already_is_taken_from_the_config_at_once",
];

/// For what a minute or two is enough.
const LIMIT: Duration = Duration::from_secs(600);

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

/// Everything of the command: the build under Wine, and the tray if the panel's page is there; or the lints alone.
pub(crate) fn command(options: &Options) -> Result<()> {
    let compiler = options.compiler;
    if options.check {
        println!("{}", check(compiler)?);
        return Ok(());
    }
    let ran = run(compiler)?;
    let no_panel = || Outcome::Skipped("no panel; `cargo xtask test ui-build` makes it".into());
    let tray = if ui::is_built() { check_tray(compiler)? } else { no_panel() };
    println!("under Wine: {ran}; the tray: {tray}");
    Ok(())
}

/// Lints of engine, CLI and their tests for Windows, or the reason why they cannot run here.
pub(crate) fn check(compiler: Compiler) -> Result<Outcome> {
    with(compiler, |sysroot| sysroot.lint(&format!("--locked {PACKAGES} --lib --bin leeward --tests")).run())
}

/// Lints of the tray, which needs the panel's page, and its unit tests under Wine: the registry, paths, what is refused.
pub(crate) fn check_tray(compiler: Compiler) -> Result<Outcome> {
    with(compiler, |sysroot| {
        // Without the tests, whose features of the dependencies hide what a program forgets to ask for.
        sysroot.lint("--locked --features tray --bins").run()?;
        if !packages::on_debian() {
            return Ok(());
        }
        packages::ensure(&WINE)?;
        let wine = Wine::begin("wine")?.ready()?;
        // WebView2's loader lies beside the programs, not beside their tests.
        let loader = format!("Z:{}", sysroot.debug().display());
        let tests = sysroot.cargo("test --locked --features tray --bin leeward-tray").env("WINEPATH", loader);
        wine.around(tests).run()
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
        packages::ensure(&WINE)?;
        // Each has a server of its own, which does one thing at a time.
        let (here, beside) = (Wine::begin("wine")?, Wine::begin("wine-beside")?);
        sysroot.cargo(&format!("test --no-run --locked {PACKAGES} --lib --bin leeward --test it")).run()?;
        Shell::cargo("build --locked --package leeward-wine").run()?;
        let (here, beside) = (here.ready()?, beside.ready()?);
        // The unit tests of every room: what is about Unix alone says so itself.
        let skipped = NOT_UNDER_WINE.iter().flat_map(|name| ["--skip", name]);
        println!("Left out under Wine, with the reason in xtask/src/windows.rs: {}", NOT_UNDER_WINE.join(", "));
        let unit_tests = sysroot.cargo(&format!("test --locked {PACKAGES} --lib"));
        here.around(unit_tests.arg("--").args(skipped)).run()?;
        let contracts = Beside::start(sysroot, &beside)?;
        let exe = sysroot.debug().join("leeward.exe");
        let from_linux = Shell::program(built("leeward-wine", false)).arg(wine::PROGRAM).arg(&exe);
        here.around(from_linux.arg(here.agent()).arg(here.setup(&exe)?)).run()?;
        contracts.passed()
    })
}

/// The integration tests as a Windows program, beside everything else: most of their time they wait.
struct Beside {
    child: Child,
    said: PathBuf,
}

impl Beside {
    fn start(sysroot: &Sysroot, wine: &Wine) -> Result<Self> {
        let said = target().join("windows").join("contracts.log");
        let skipped = TOO_SLOW.iter().flat_map(|name| ["--skip", name]);
        let tests = sysroot.cargo("test --quiet --locked --test it").arg("--").args(CONTRACTS).args(skipped);
        let tests = wine.around(tests.arg("--test-threads=2")).both_to(&File::create(&said)?)?;
        Ok(Self { child: tests.spawn()?, said })
    }

    fn passed(mut self) -> Result<()> {
        let end = Instant::now() + LIMIT;
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() > end => bail!("the contracts under Wine hang: {}", self.said.display()),
                None => std::thread::sleep(Duration::from_millis(100)),
            }
        };
        let said = String::from_utf8_lossy(&fs::read(&self.said)?).into_owned();
        println!("\nThe contracts with both ends under Wine:\n{}", said.trim());
        if !status.success() {
            bail!("the integration tests under Wine ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Has ended, unless something else has failed meanwhile.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn with(compiler: Compiler, work: impl FnOnce(&Sysroot) -> Result<()>) -> Result<Outcome> {
    packages::ensure(&WINDOWS)?;
    Sysroot::with(TARGET, compiler, work)
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
