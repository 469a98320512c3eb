//! `leeward man`: the manual pages of both programs, from the definitions that parse their command lines. For packagers.

use crate::{
    args::{Cli, Man},
    exit::{Exit, Failure, Outcome},
};
use clap::CommandFactory;

#[path = "../leeward-tray/args.rs"]
mod tray;

/// One page for each command, named as `man` looks for it.
pub(crate) fn run(args: &Man) -> Outcome {
    let folder = &args.folder;
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .and_then(|()| clap_mangen::generate_to(tray::Arguments::command(), folder));
    match written {
        Ok(()) => Ok(Exit::Ok as i32),
        Err(why) => Err(Failure::new(Exit::CannotWrite, format!("cannot write to {}: {why}", folder.display()))),
    }
}
