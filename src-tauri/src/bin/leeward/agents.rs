//! `leeward agents`: looks at this machine's agents, with what the running Leeward knows of them.

use crate::{
    args, block_on, config,
    exit::{Exit, Outcome},
    out::{Out, Text},
    progress,
};
use leeward::{
    config::{Config, environment},
    coverage::{self, Look},
    health::unix_ms,
    instance::{self, Client},
    status::{
        Status,
        coverage::{Agent, Coverage, Heard, InstallKind, LastRequest, Protection, Running},
    },
    view::Level,
};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Runs `leeward agents`.
pub(crate) fn run(args: &args::Agents, out: &mut Out) -> Outcome {
    let config = config::load_to_ask()?;
    let coverage = block_on(progress::while_waiting("looking for agents", async {
        let heard = ask(&config).await;
        let address = heard.as_ref().and_then(|heard| Some(heard.as_ref().ok()?.address));
        let look = Look {
            env: Arc::new(environment),
            home: directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_path_buf()),
            terminal: Some(std::env::current_dir().unwrap_or_default()),
            address: Some(address.unwrap_or_else(|| instance::reachable(config.listen))),
            heard,
        };
        tokio::task::spawn_blocking(move || {
            let mut coverage = coverage::look(&look);
            coverage::ask_versions(&mut coverage);
            coverage
        })
        .await
    }))?;
    let coverage = coverage.map_err(|e| crate::exit::Failure::new(Exit::Unavailable, format!("the look failed: {e}")))?;
    let exit = if coverage.bypassed() { Exit::Warnings } else { Exit::Ok };
    if args.json {
        let json = serde_json::to_value(&coverage);
        out.json(&json.map_err(|e| crate::exit::Failure::new(Exit::Unavailable, format!("no JSON: {e}")))?)?;
    } else {
        print(&coverage, out)?;
    }
    Ok(exit as i32)
}

/// What the running Leeward knows; why it could not be asked; nothing where none runs.
async fn ask(config: &Config) -> Option<Result<Heard, String>> {
    let client = match instance::running(config).await {
        Ok(client) => client?,
        Err(e) => return Some(Err(e.to_string())),
    };
    Some(heard(&client).await)
}

async fn heard(client: &Client) -> Result<Heard, String> {
    let status = client.get("/_leeward/v1/status", ANSWER_WITHIN).await.map_err(|e| e.to_string())?;
    let stats = client.get("/stats", ANSWER_WITHIN).await.map_err(|e| e.to_string())?;
    let status: Status = serde_json::from_value(status).map_err(|_| "it is of another version; restart it".to_owned())?;
    let seen = stats.get("last_seen_unix_ms").cloned().unwrap_or_default();
    let last_seen_unix_ms: BTreeMap<String, u64> =
        serde_json::from_value(seen).map_err(|_| "it is of another version; restart it".to_owned())?;
    let since_unix_ms = stats.get("since_unix_ms").and_then(Value::as_u64).unwrap_or(status.started_unix_ms);
    Ok(Heard { address: client.address(), sessions: status.sessions, last_seen_unix_ms, since_unix_ms })
}

fn print(coverage: &Coverage, out: &mut Out) -> Outcome<()> {
    let (level, sentence) = headline(coverage);
    out.line(out.bold(out.paint(level, &sentence)))?;
    if let Some(why) = &coverage.unlisted {
        out.line(format!("Running agents are not known: {why}."))?;
    }
    let (missing, here): (Vec<&Agent>, Vec<&Agent>) =
        coverage.agents.iter().partition(|agent| agent.verdict == Protection::NotInstalled);
    for agent in here {
        out.line("")?;
        print_agent(agent, coverage.at_unix_ms, out)?;
    }
    if !missing.is_empty() {
        out.line("")?;
        out.line(out.bold("Not installed"))?;
    }
    for agent in missing {
        out.line(out.dim(&format!("  {:<12}  {}", agent.title, agent.about)))?;
    }
    Ok(())
}

/// The worst fact first.
fn headline(coverage: &Coverage) -> (Level, String) {
    let count = |verdict| coverage.agents.iter().flat_map(|agent| &agent.running).filter(|one| one.verdict == verdict).count();
    let sessions = |count: usize| if count == 1 { "1 running session".to_owned() } else { format!("{count} running sessions") };
    let (past, unknown, through) = (count(Protection::NotProtected), count(Protection::NotKnown), count(Protection::Protected));
    match (past, unknown, through) {
        (0, 0, 0) if coverage.unlisted.is_some() => (Level::Degraded, "Which agents run is not known.".into()),
        (0, 0, 0) if coverage.agents.iter().all(|agent| agent.verdict == Protection::NotInstalled) => {
            (Level::Ok, "No agent that Leeward knows is installed.".into())
        }
        (0, 0, 0) => (Level::Ok, "No agent is running.".into()),
        (0, 0, through) => (Level::Ok, format!("{} through Leeward, none past it.", go(through, &sessions))),
        (0, unknown, _) => {
            (Level::Degraded, format!("Of {} it is not known whether requests go through Leeward.", sessions(unknown)))
        }
        (1, ..) => (Level::Degraded, "1 running session bypasses Leeward.".into()),
        (past, ..) => (Level::Degraded, format!("{} bypass Leeward.", sessions(past))),
    }
}

fn go(count: usize, sessions: &dyn Fn(usize) -> String) -> String {
    format!("{} {}", sessions(count), if count == 1 { "goes" } else { "go" })
}

fn print_agent(agent: &Agent, now: u64, out: &mut Out) -> Outcome<()> {
    let by: Vec<&str> = agent.by.iter().map(|by| by.as_str()).collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    let title = out.bold(format!("{:<12}", agent.title));
    out.line(title.then("  ").then(verdict(agent.verdict, &by, out)))?;
    out.line(format!("  {}", agent.why))?;
    if let Some(advice) = &agent.advice {
        out.line(format!("  To do: {advice}."))?;
    }
    for one in &agent.running {
        print_running(one, now, out)?;
    }
    out.line(out.dim(&format!("  {}", last_request(&agent.last_request, now))))?;
    for one in &agent.installs {
        let version = one.version.as_deref().unwrap_or("version not known");
        let of = if one.kind == InstallKind::Extension { format!("extension of {}", one.of) } else { one.of.clone() };
        out.line(out.dim(&format!("  {version}  {}  ({of})", one.path.display())))?;
    }
    Ok(())
}

fn print_running(one: &Running, now: u64, out: &mut Out) -> Outcome<()> {
    let since = one.since_unix_ms.map_or_else(|| "start not known".to_owned(), |at| format!("for {}", age(now, at)));
    let folder =
        one.folder.as_deref().map_or_else(|| "folder not known".to_owned(), |folder: &Path| folder.display().to_string());
    out.line(verdict_mark(one.verdict, out).then(format!("pid {}, {since}, in {folder}", one.pid)))?;
    out.line(format!("      {}", one.why))?;
    Ok(())
}

fn verdict(verdict: Protection, by: &str, out: &Out) -> Text {
    match verdict {
        Protection::Protected => out.paint(Level::Ok, &format!("protected{by}")),
        Protection::NotProtected => out.paint(Level::Degraded, "not protected"),
        Protection::NotKnown => out.dim("not known"),
        Protection::NotInstalled => out.dim("not installed"),
    }
}

/// Told apart without colour.
fn verdict_mark(verdict: Protection, out: &Out) -> Text {
    let (level, mark) = match verdict {
        Protection::Protected => (Level::Ok, "  +   "),
        Protection::NotProtected => (Level::Degraded, "  !   "),
        Protection::NotKnown | Protection::NotInstalled => return out.dim("  ?   "),
    };
    out.paint(level, mark)
}

fn last_request(last: &LastRequest, now: u64) -> String {
    match last {
        LastRequest::Seen { at_unix_ms } => format!("Last request {} ago.", age(now, *at_unix_ms)),
        LastRequest::NotSeen { since_unix_ms } => {
            format!("No request of it has come since Leeward started, {} ago.", age(now, *since_unix_ms))
        }
        LastRequest::NotKnown { why } => format!("Whether requests of it have come is not known: {why}."),
    }
}

fn age(now: u64, at: u64) -> String {
    let seconds = now.max(unix_ms()).saturating_sub(at) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
