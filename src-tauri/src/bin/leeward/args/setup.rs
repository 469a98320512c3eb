//! `leeward setup` as it is typed. Says what was asked, decides nothing.

use clap::{Args, builder::PossibleValuesParser};
use leeward::setup;

/// Stands for every installed agent.
pub(crate) const ALL: &str = "all";

/// Put Leeward's address into an agent's own settings, or take it out
///
/// For sessions that `leeward wrap` does not start, such as an IDE's. Shows what would change and asks first. Every file is kept as it was; --undo puts it back to the byte, and what you have
/// changed since stays. Files of a project are never written. Exit code 73 if an agent was left as it is.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  leeward setup claude --dry-run\n  leeward setup all\n  leeward setup shell\n  leeward setup all --undo"
)]
pub(crate) struct Setup {
    /// The agent; `all` for every installed one; `shell` for the profiles of your shells
    #[arg(value_parser = PossibleValuesParser::new(setup::TARGETS.into_iter().chain([ALL])))]
    pub(crate) agent: String,
    /// Take out again what set-up has written; with `all` everything, profiles included
    #[arg(long, conflicts_with_all = ["replace", "without_service"])]
    pub(crate) undo: bool,
    /// Show what would change, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing, for scripts
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Put Leeward in the place of an endpoint that its config does not know, until --undo
    #[arg(long)]
    pub(crate) replace: bool,
    /// Set up although nothing starts Leeward at login; agents get no answer while it doesn't run
    #[arg(long)]
    pub(crate) without_service: bool,
}
