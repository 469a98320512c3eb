//! claude-code-router, which `cargo xtask bench --all` installed from its registry: the Node program most people know that
//! stands where Leeward does. One provider that speaks Anthropic's own dialect, so that it has nothing to translate.

use super::{Peer, Place};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Below the folder of what is installed.
const PACKAGE: &str = "claude-code-router/node_modules/@musistudio/claude-code-router";

/// The program, by the folder of its package.
pub(super) struct Router {
    package: PathBuf,
}

impl Router {
    /// It, if it is there.
    pub(super) fn find(installed: &Path) -> Option<Self> {
        let package = installed.join(PACKAGE);
        package.exists().then_some(Self { package })
    }
}

impl Peer for Router {
    fn name(&self) -> &'static str {
        "claude-code-router"
    }

    fn version(&self) -> String {
        let file = fs::read(self.package.join("package.json")).unwrap_or_default();
        let said: serde_json::Value = serde_json::from_slice(&file).unwrap_or_default();
        format!("claude-code-router {}", said["version"].as_str().unwrap_or("unknown"))
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let home = place.folder.join(".claude-code-router");
        fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
        let config = serde_json::json!({
            "HOST": "127.0.0.1",
            "PORT": place.listen.port(),
            "LOG": false,
            "NON_INTERACTIVE_MODE": true,
            "Providers": [{
                "name": "bench",
                "api_base_url": format!("{}://{}/v1/messages", place.scheme(), place.upstream),
                "api_key": "none",
                "models": ["claude-bench"],
                "transformer": { "use": ["Anthropic"] },
            }],
            "Router": { "default": "bench,claude-bench" },
        });
        super::write(&home.join("config.json"), &config.to_string())?;
        let mut command = Command::new("node");
        command.arg(self.package.join("dist").join("cli.js")).arg("start").env("HOME", place.folder).current_dir(place.folder);
        if let Some(authority) = place.authority {
            command.env("NODE_EXTRA_CA_CERTS", authority);
        }
        Ok(command)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn slow(&self) -> bool {
        true
    }
}
