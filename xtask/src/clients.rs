//! The public SDKs and the real agents that the tests drive: installed from their lock files into places that are thrown away.

use crate::{
    packages::{self, CLIENTS},
    shell::{Shell, root, target},
    ui,
};
use anyhow::Result;
use std::path::PathBuf;

/// Where the Python clients live; the tests find it in `LEEWARD_PYTHON`.
pub(crate) fn python() -> PathBuf {
    let (folder, program) = if cfg!(windows) { ("Scripts", "python.exe") } else { ("bin", "python") };
    target().join("clients-venv").join(folder).join(program)
}

/// Installs the Node and Python clients.
pub(crate) fn install() -> Result<()> {
    packages::ensure(&CLIENTS)?;
    ui::require_node()?;
    let clients = root().join("tests").join("clients");
    Shell::new("npm ci --no-fund --no-audit").within(clients.join("node")).run()?;
    // Elsewhere no test starts them: they need a network of their own.
    if cfg!(target_os = "linux") {
        Shell::new("npm ci --no-fund --no-audit --ignore-scripts").within(clients.join("agents")).run()?;
    }
    if !python().exists() {
        let system = if cfg!(windows) { "python" } else { "python3" };
        Shell::new(system).args(["-m", "venv"]).arg(target().join("clients-venv")).run()?;
    }
    let pip = Shell::program(python()).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.arg("--requirement").arg(clients.join("python").join("requirements.txt")).run()
}
