//! The tray: the engine inside a program without a window. Paints the status, passes wishes on, decides nothing.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod commands;
mod desktop;
mod engine;
mod menu;
mod signals;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

/// Why the tray could not start: a sentence, and the exit code the README documents.
#[derive(Debug)]
struct Failure {
    code: u8,
    sentence: String,
}

impl Failure {
    fn new(code: u8, sentence: impl ToString) -> Self {
        Self { code, sentence: sentence.to_string() }
    }
}

fn main() -> ExitCode {
    match engine::start(std::io::stderr().is_terminal()).and_then(desktop::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{}", failure.sentence);
            // Nobody may be reading; the exit code says it as well.
            writeln!(std::io::stderr(), "leeward-tray: {}", failure.sentence).ok();
            ExitCode::from(failure.code)
        }
    }
}
