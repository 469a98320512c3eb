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
#[path = "wine/console.rs"]
mod console;
#[cfg(unix)]
#[path = "wine/contracts.rs"]
mod contracts;
#[cfg(unix)]
#[path = "wine/installer.rs"]
mod installer;
#[cfg(unix)]
#[path = "wine/process.rs"]
mod process;

fn main() {
    #[cfg(unix)]
    {
        let built = |name| std::env::var_os(name).map(Into::into);
        let (wine, exe) = (built("LEEWARD_WINE"), built("LEEWARD_WINDOWS_EXE"));
        let (agent, setup) = (built("LEEWARD_WINDOWS_AGENT"), built("LEEWARD_WINDOWS_SETUP"));
        if let (Some(wine), Some(exe), Some(agent), Some(setup)) = (wine, exe, agent, setup) {
            contracts::all(&process::Windows { wine, exe, agent, setup });
            return;
        }
    }
    println!("SKIP: the Windows build is run by `cargo xtask windows`");
}
