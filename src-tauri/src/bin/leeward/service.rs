//! `leeward service`: has the library install, remove or look, and says what came of it. Decides nothing.

use crate::{
    args, block_on, config,
    exit::{Exit, Failure, Outcome},
    out::{Out, say},
    progress,
};
use leeward::{
    service::{self, Error, Installed, Report},
    view::Level,
};
use serde_json::json;

/// Runs `leeward service`.
pub(crate) fn run(asked: args::Service, out: &mut Out) -> Outcome {
    match asked {
        args::Service::Install { json } => install(json, out),
        args::Service::Uninstall { json } => uninstall(json, out),
        args::Service::Status { json } => status(json, out),
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::new(if e.is_of_file() { Exit::CannotWrite } else { Exit::Unavailable }, e)
    }
}

fn install(json: bool, out: &mut Out) -> Outcome {
    let config = config::load(None)?;
    let done = block_on(progress::while_waiting("installing the service", service::install(&config)))??;
    if json {
        out.json(&json!({ "manager": done.manager, "listen": done.listen, "held": done.is_held, "notes": done.notes }))?;
        return Ok(Exit::Ok as i32);
    }
    let holds = if done.is_held { format!(", and holds {}", done.listen) } else { String::new() };
    out.line(format!("Leeward is installed as a service: {} starts it at login{holds}", done.manager))?;
    for note in done.notes {
        out.line(format!("  {note}"))?;
    }
    out.line("  Variables of your shell (HTTPS_PROXY, LEEWARD_…) don't reach it: set them in the config file")?;
    Ok(Exit::Ok as i32)
}

fn uninstall(json: bool, out: &mut Out) -> Outcome {
    let removed = block_on(progress::while_waiting("removing the service", service::uninstall()))??;
    if json {
        out.json(&json!({ "removed": removed }))?;
    } else if removed.is_empty() {
        out.line("there was no service to remove")?;
    } else {
        out.line("the service is removed")?;
        for file in removed {
            out.line(format!("  removed {file}"))?;
        }
    }
    Ok(Exit::Ok as i32)
}

fn status(json: bool, out: &mut Out) -> Outcome {
    let config = config::load_to_ask()?;
    let report = block_on(progress::while_waiting("asking the service manager", service::status(&config)))?;
    if json {
        out.json(&serde_json::to_value(&report).map_err(|e| Failure::new(Exit::CannotWrite, e))?)?;
    } else {
        print(&report, out)?;
    }
    Ok(if report.active { Exit::Ok } else { Exit::Unavailable } as i32)
}

fn print(report: &Report, out: &mut Out) -> Outcome<()> {
    let (level, sentence) = headline(report);
    out.line(out.bold(out.paint(level, sentence)))?;
    if let Some(why) = &report.unavailable {
        out.line(format!("  {} cannot be asked: {why}", report.manager))?;
    }
    if let Some(held) = report.held {
        out.line(format!("  {} holds {held}", report.manager))?;
    }
    match (&report.port_holder, report.listening) {
        (Some(holder), _) => out.line(format!("  {} listens on {}", holder, report.listen))?,
        (None, _) => out.line(format!("  nobody listens on {}", report.listen))?,
    }
    match (report.serving, report.serving_pid) {
        (Some(address), Some(pid)) => out.line(format!("  Leeward serves on {address} (pid {pid})"))?,
        _ if report.held.is_some() => out.line("  no Leeward serves now; the next connection starts it")?,
        _ => out.line("  no Leeward serves")?,
    }
    if report.enabled == Some(false) {
        out.line("  it does not start at login; `leeward service install` switches that on")?;
    }
    for drift in &report.drift {
        out.line(out.paint(Level::Degraded, &format!("  {drift}")))?;
    }
    for note in &report.notes {
        out.line(format!("  {note}"))?;
    }
    for file in &report.files {
        out.line(out.dim(&format!("  {} ({})", file.path.display(), word(file.state))))?;
    }
    if !report.drift.is_empty() {
        say("run `leeward service install` again to mend the service's files");
    }
    Ok(())
}

fn word(state: service::FileState) -> &'static str {
    match state {
        service::FileState::Ours => "ours",
        service::FileState::Missing => "missing",
        service::FileState::Foreign => "not ours",
    }
}

fn headline(report: &Report) -> (Level, &'static str) {
    match (report.installed, report.active) {
        (Installed::Yes, true) if report.drift.is_empty() => (Level::Ok, "The service is installed and active."),
        (Installed::Yes, true) => (Level::Degraded, "The service is active; its files are out of date."),
        (Installed::Yes, false) => (Level::Broken, "The service is installed and not active."),
        (Installed::Partly, _) => (Level::Broken, "The service is half installed; `leeward service install` completes it."),
        (Installed::Foreign, _) => (Level::Broken, "Another program's files have the service's name."),
        (Installed::No, _) => (Level::Degraded, "No service is installed."),
    }
}
