//! A small proxy on the crate pingora (`benches/pingora`), with the crate's defaults: the nearest relative in Rust.

use super::{Peer, Place};
use anyhow::{Context, Result};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

pub(super) struct Pingora {
    program: PathBuf,
}

impl Pingora {
    pub(super) fn new(program: &Path) -> Result<Self> {
        let program = program.canonicalize().with_context(|| format!("there is no {}", program.display()))?;
        Ok(Self { program })
    }
}

impl Peer for Pingora {
    fn name(&self) -> &'static str {
        "pingora"
    }

    fn version(&self) -> String {
        crate::machine::said(&self.program.to_string_lossy(), &["--version"])
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.arg(place.listen.to_string()).arg(place.upstream.to_string());
        if place.authority.is_some() {
            command.arg("tls");
        }
        command.current_dir(place.folder);
        Ok(command)
    }
}
