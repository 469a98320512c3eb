//! Leeward as a user has it: the release build, its defaults, one worker.

use super::{Peer, Place, Reload, write};
use crate::machine;
use anyhow::{Context, Result};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

pub(super) struct Leeward {
    name: &'static str,
    program: PathBuf,
}

impl Leeward {
    pub(super) fn new(name: &'static str, program: &Path) -> Result<Self> {
        let program = program.canonicalize().with_context(|| format!("there is no {}", program.display()))?;
        Ok(Self { name, program })
    }

    fn at(&self, place: &Place<'_>) -> Command {
        let mut command = Command::new(&self.program);
        // Its memory and descriptors are counted.
        command.env("LEEWARD_HOME", place.folder).env("LEEWARD_DEBUGGABLE", "1");
        command
    }
}

impl Peer for Leeward {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> String {
        machine::said(&self.program.to_string_lossy(), &["--version"])
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let upstream = match place.company {
            // Then hosts have their real names, the default upstream among them.
            Some(company) => format!("proxy.url = 'http://{company}'\n"),
            None => format!("upstream = '{}://{}'\n", place.scheme(), place.upstream),
        };
        let trust = place.authority.map_or_else(String::new, |path| format!("extra_ca = '{}'\n", path.display()));
        write(&place.folder.join("config.toml"), &format!("listen = '{}'\n{upstream}workers = 1\n{trust}", place.listen))?;
        let mut command = self.at(place);
        command.arg("serve");
        Ok(command)
    }

    fn reload(&self, place: &Place<'_>) -> Reload {
        let mut command = self.at(place);
        command.arg("restart");
        Reload::Command(command)
    }

    fn watcher(&self, place: &Place<'_>) -> Option<Command> {
        let mut command = self.at(place);
        command.args(["run", "--", "sleep", "30"]);
        Some(command)
    }

    fn left_behind(&self, place: &Place<'_>) -> Option<u32> {
        let record = std::fs::read_to_string(place.folder.join("state").join("instance.json")).ok()?;
        serde_json::from_str::<serde_json::Value>(&record).ok()?.get("pid")?.as_u64()?.try_into().ok()
    }
}
