//! The contracts on the Windows build: `leeward.exe` as a process of its own under Wine, and a Linux client beside it.
//! A program and not a set of tests, since it needs what `cargo xtask windows` builds; without that it says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by panicking and prints its table"
)]

#[cfg(unix)]
#[path = "wine/contracts.rs"]
mod contracts;
#[cfg(unix)]
#[path = "wine/process.rs"]
mod process;

fn main() {
    #[cfg(unix)]
    if let (Some(wine), Some(exe)) = (std::env::var_os("LEEWARD_WINE"), std::env::var_os("LEEWARD_WINDOWS_EXE")) {
        contracts::all(&process::Windows::new(wine.into(), exe.into()));
        return;
    }
    println!("SKIP: the Windows build is run by `cargo xtask windows`");
}
