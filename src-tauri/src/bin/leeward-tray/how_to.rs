//! How an agent is installed: the page of its makers, in the user's browser. Opens what the table of agents names, nothing else.

use crate::commands::Refusal;
use leeward::{instance::CoreLimit, tasks::Tasks, wrap};
use std::{process::Stdio, time::Duration};
use tauri::State;
use tokio::{process::Command, time::timeout};

/// What opens a page says at once that it cannot; a browser that it has started itself may go on for hours.
const FAILS_WITHIN: Duration = Duration::from_secs(2);

/// Opens the page.
#[tauri::command]
pub(crate) async fn how_to(agent: String, tasks: State<'_, Tasks>, core_limit: State<'_, CoreLimit>) -> Result<(), Refusal> {
    let known = wrap::profiles().ok().and_then(|all| all.into_iter().find(|profile| profile.name == agent));
    let page = known.map(|profile| profile.about).filter(|page| page.starts_with("https://"));
    let page = page.ok_or_else(|| Refusal::new("no-agent", format!("There is no agent called `{agent}`.")))?;
    let failed =
        |why: &dyn std::fmt::Display| Refusal::new("no-browser", format!("No browser opened ({why}). The page is {page}"));
    let mut command = opener(&page);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = core_limit.starting(|| command.spawn()).map_err(|why| failed(&why.kind()))?;
    match timeout(FAILS_WITHIN, child.wait()).await {
        // Explorer ends with 1 when it has opened the page.
        Ok(Ok(status)) if !status.success() && !cfg!(windows) => Err(failed(&status)),
        Ok(_) => Ok(()),
        Err(_) => {
            tasks.spawn(async move {
                child.wait().await.ok();
            });
            Ok(())
        }
    }
}

/// The desktop's own way to open an address.
fn opener(page: &str) -> Command {
    let program = match std::env::consts::OS {
        "macos" => "/usr/bin/open",
        "windows" => "explorer.exe",
        _ => "xdg-open",
    };
    let mut command = Command::new(program);
    command.arg(page);
    command
}
