//! Programs that `cargo xtask bench --all` installed from their registries, as plain passes to an upstream: those in Python
//! here, the one for Node in `router`.

use super::{Peer, Place, router::Router};
use crate::machine;
use anyhow::Result;
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Those of them that are there.
pub(super) fn all(folder: &Path) -> Vec<Box<dyn Peer>> {
    let mut all: Vec<Box<dyn Peer>> = Vec::new();
    let mitmdump = folder.join("mitmproxy/bin/mitmdump");
    if mitmdump.exists() {
        all.push(Box::new(Mitmproxy { program: mitmdump }));
    }
    let headroom = folder.join("headroom/bin/headroom");
    if headroom.exists() {
        all.push(Box::new(Headroom { program: headroom }));
    }
    let litellm = folder.join("litellm/bin/litellm");
    if litellm.exists() {
        all.push(Box::new(Litellm { program: litellm }));
    }
    if let Some(router) = Router::find(folder) {
        all.push(Box::new(router));
    }
    all
}

/// What a pip of its own environment says of a package.
fn version_of(program: &Path, package: &str) -> String {
    let pip = program.with_file_name("pip");
    let listed = Command::new(pip).args(["show", "--disable-pip-version-check", package]).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let version = text.lines().find_map(|line| line.strip_prefix("Version: ")).unwrap_or("unknown");
    format!("{package} {version}")
}

/// headroom, set to change nothing: the nearest product.
struct Headroom {
    program: PathBuf,
}

impl Peer for Headroom {
    fn name(&self) -> &'static str {
        "headroom"
    }

    fn version(&self) -> String {
        version_of(&self.program, "headroom-ai")
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.args(["proxy", "--no-optimize", "--no-cache", "--no-rate-limit", "--host", "127.0.0.1", "--port"]);
        command.arg(place.listen.port().to_string());
        command.arg("--anthropic-api-url").arg(format!("{}://{}", place.scheme(), place.upstream));
        // Nothing of it is left in the user's own folder; what it downloads for other purposes it must do without.
        command.env("HOME", place.folder).env("HF_HUB_OFFLINE", "1").current_dir(place.folder);
        if let Some(authority) = place.authority {
            command.env("SSL_CERT_FILE", authority);
        }
        Ok(command)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn slow(&self) -> bool {
        true
    }
}

/// LiteLLM's proxy with one model, which it asks the upstream for.
struct Litellm {
    program: PathBuf,
}

impl Peer for Litellm {
    fn name(&self) -> &'static str {
        "litellm"
    }

    fn version(&self) -> String {
        version_of(&self.program, "litellm")
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let file = place.folder.join("config.yaml");
        super::write(
            &file,
            &format!(
                "model_list:\n  - model_name: claude-bench\n    litellm_params:\n      model: anthropic/claude-bench\n      \
                 api_base: {}://{}\n      api_key: none\n",
                place.scheme(),
                place.upstream
            ),
        )?;
        let mut command = Command::new(&self.program);
        command.args(["--host", "127.0.0.1", "--num_workers", "1", "--telemetry", "False", "--port"]);
        command.arg(place.listen.port().to_string()).arg("--config").arg(file);
        command.env("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true");
        command.env("HOME", place.folder).env("LITELLM_LOCAL_MODEL_COST_MAP", "True").current_dir(place.folder);
        if let Some(authority) = place.authority {
            command.env("SSL_CERT_FILE", authority);
        }
        Ok(command)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(90)
    }

    fn slow(&self) -> bool {
        true
    }
}

/// mitmproxy as a reverse proxy, without a screen.
struct Mitmproxy {
    program: PathBuf,
}

impl Peer for Mitmproxy {
    fn name(&self) -> &'static str {
        "mitmproxy"
    }

    fn version(&self) -> String {
        machine::said(&self.program.to_string_lossy(), &["--version"])
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let scheme = place.scheme();
        let mut command = Command::new(&self.program);
        command.args(["--quiet", "--listen-host", "127.0.0.1", "--set", "flow_detail=0"]);
        // Bodies pass as they come, or a stream would be shown when it is over.
        command.args(["--set", "stream_large_bodies=1", "--set", "keep_host_header=true", "--ssl-insecure"]);
        command.arg("--set").arg(format!("confdir={}", place.folder.display()));
        command.arg("--listen-port").arg(place.listen.port().to_string());
        command.arg("--mode").arg(format!("reverse:{scheme}://{}", place.upstream));
        Ok(command)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn slow(&self) -> bool {
        true
    }
}
