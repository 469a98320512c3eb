//! The panel: installed from its lock file, checked, tested, built.

use crate::{
    packages::{self, BROWSER},
    shell::{Shell, available, built, root},
};
use anyhow::{Context, Result, bail};
use std::{env, path::Path};

/// The oldest Node that Vite runs on.
const NODE: (u32, u32) = (20, 19);

/// Fails with a sentence unless Node and npm are there and new enough.
pub(crate) fn require_node() -> Result<()> {
    let advice = format!("install Node {}.{} or newer, with npm", NODE.0, NODE.1);
    let found = Shell::new("node --version").read().with_context(|| format!("there is no Node; {advice}"))?;
    let mut numbers = found.trim_start_matches('v').split('.').map_while(|n| n.parse().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < NODE {
        bail!("Node {found} is too old; {advice}");
    }
    if !available("npm") {
        bail!("there is no npm; {advice}");
    }
    Ok(())
}

/// Installs exactly what the lock file says.
pub(crate) fn install() -> Result<()> {
    require_node()?;
    npm("ci --no-fund --no-audit").run()
}

/// Writes `ui/dist`, which the tray embeds.
pub(crate) fn build() -> Result<()> {
    npm("run --silent build").run()
}

/// Whether `ui/dist` is there.
pub(crate) fn is_built() -> bool {
    root().join("ui/dist/index.html").exists()
}

/// Types and warnings.
pub(crate) fn check() -> Result<()> {
    npm("run --silent check").run()
}

/// The pure parts.
pub(crate) fn unit_tests() -> Result<()> {
    npm("test --silent").run()
}

/// The built page in a real browser, on the real engine.
pub(crate) fn browser_test() -> Result<()> {
    packages::ensure(&BROWSER)?;
    let chromium = env::var_os("CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium-headless-shell".into());
    if !Path::new(&chromium).exists() {
        bail!("{} is missing. Needed {}: {}", chromium.display(), BROWSER.purpose, BROWSER.elsewhere);
    }
    npm("run --silent test:browser").env("CHROMIUM", chromium).env("LEEWARD_BIN", built("leeward", false)).run()
}

fn npm(line: &str) -> Shell {
    Shell::new(&format!("npm {line}")).within(root().join("ui"))
}
