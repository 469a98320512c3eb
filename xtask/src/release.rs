//! What is published: packages for npm and others, made of programs that are built already. Publishes nothing itself.

pub(crate) mod npm;
pub(crate) mod npm_check;
mod parts;
mod platforms;

use crate::{
    link,
    shell::{PROGRAMS, Shell, built},
};
use anyhow::Result;
use sha2::{Digest, Sha256};
use std::{
    env,
    path::{Path, PathBuf},
};

/// In small hexadecimal letters, as all tools write it.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The command-line program as others get it.
fn build() -> Result<()> {
    Shell::cargo("build --locked --release --bin leeward").env(link::VARIABLE, link::args()).run()
}

/// The debug build's program without its debug information, for a check: packing that takes a minute.
fn stripped(folder: &Path) -> Result<PathBuf> {
    let program = match env::var_os("LEEWARD_BIN") {
        Some(program) => PathBuf::from(program),
        None => {
            Shell::cargo(PROGRAMS).run()?;
            built("leeward", false)
        }
    };
    let copy = folder.join("leeward");
    Shell::new("strip -o").arg(&copy).arg(&program).run()?;
    Ok(copy)
}
