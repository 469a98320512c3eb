//! Leeward beside other proxies, on one machine and in one run: the benchmark (`bench`), the torture (`torture`), and the
//! upstream that both of them stand before. `cargo xtask bench` and `cargo xtask torture` build what it needs and start it.
//!
//! It reads `/proc` and pins processes to cores, so it runs on Linux; elsewhere it says so. It is no part of the product.
#![cfg_attr(not(target_os = "linux"), allow(unused, reason = "elsewhere only its name is left of it"))]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that measures prints what it found")]

#[cfg(target_os = "linux")]
mod args;
#[cfg(target_os = "linux")]
mod bench;
#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod figure;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod peer;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod record;
#[cfg(target_os = "linux")]
mod relay;
#[cfg(target_os = "linux")]
mod session;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod torture;
#[cfg(target_os = "linux")]
mod upstream;
#[cfg(target_os = "linux")]
mod wire;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    use clap::Parser;
    match args::Cli::parse().command {
        args::Command::Bench(args) => bench::run(&args),
        args::Command::Torture(args) => torture::run(&args),
        args::Command::Upstream(args) => upstream::run(&args),
        args::Command::Relay(args) => relay::run(&args),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("The benchmark and the torture read /proc and pin processes to cores: they run on Linux only.");
    std::process::ExitCode::FAILURE
}
