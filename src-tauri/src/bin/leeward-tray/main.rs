//! The tray: the engine inside a program without a window. Paints the status, forwards commands, decides nothing.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod args;
mod autostart;
mod commands;
mod desktop;
mod doctor;
mod engine;
mod failure;
mod feed;
mod first_start;
mod here;
mod how_to;
mod launch;
mod paint;
mod painter;
mod panel;
mod signals;
mod state;
mod tray_host;
#[cfg(test)]
mod typescript;

use args::Arguments;
use clap::Parser;
use leeward::config::Flags;
use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => {
            // Help and version are printed the same way and are no error.
            told.print().ok();
            return if told.use_stderr() { ExitCode::from(failure::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let core_limit = leeward::instance::no_core_files();
    let flags = Flags { listen: arguments.listen, upstream: arguments.upstream, config_file: arguments.config, stand_in: None };
    let started = engine::start(flags, std::io::stderr().is_terminal());
    match started.and_then(|running| running.map_or(Ok(()), |running| desktop::run(running, core_limit, arguments.hidden))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{}", failure.sentence);
            tell(&failure.sentence);
            ExitCode::from(failure.code)
        }
    }
}

/// Where it was started from a menu or at login, nobody reads what it writes; the exit code says it as well.
fn tell(sentence: &str) {
    writeln!(std::io::stderr(), "leeward-tray: {}", leeward::escape::lines(sentence)).ok();
    if !std::io::stderr().is_terminal() {
        // Without a desktop there is nobody to notify.
        notify_rust::Notification::new().summary("Leeward could not start").body(sentence).show().ok();
    }
}
