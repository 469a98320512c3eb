//! `leeward status`: asks the running instance and paints what `view` says.

use crate::{
    args, block_on, config,
    exit::{Exit, Failure, Outcome},
    out::Out,
};
use leeward::{
    config::Config,
    health::unix_ms,
    instance::{self, Client, ClientError},
    status::Status,
    view::{self, Headline, Level},
};
use serde_json::{Value, json};
use std::time::Duration;

const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Runs `leeward status`.
pub(crate) fn run(args: &args::Status, out: &mut Out) -> Outcome {
    let config = config::load_to_ask()?;
    block_on(async {
        loop {
            let answer = ask(&config).await;
            if args.watch && !args.json && out.is_terminal() {
                out.clear()?;
            }
            let exit = if args.json { print_json(answer, out)? } else { print(answer, args.watch, out)? };
            if !args.watch {
                return Ok(exit as i32);
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    })?
}

/// The instance's own words.
struct Answer {
    status: Value,
    stats: Value,
}

async fn ask(config: &Config) -> Result<Answer, ClientError> {
    let client: Client = instance::running(config).await?.ok_or(ClientError::NotRunning(None))?;
    let status = client.get("/_leeward/v1/status", ANSWER_WITHIN).await?;
    let stats = client.get("/stats", ANSWER_WITHIN).await?;
    Ok(Answer { status, stats })
}

fn print_json(answer: Result<Answer, ClientError>, out: &mut Out) -> Outcome<Exit> {
    match answer {
        Ok(Answer { status, stats }) => {
            let verdict = parse(&status)?;
            let verdict = verdict.verdict();
            out.json(&json!({ "running": true, "verdict": verdict, "status": status, "stats": stats }))?;
            Ok(if verdict == "broken" { Exit::Unavailable } else { Exit::Ok })
        }
        Err(e) => {
            out.json(&json!({ "running": false, "error": { "code": code(&e), "message": e.to_string() } }))?;
            Ok(Exit::Unavailable)
        }
    }
}

fn print(answer: Result<Answer, ClientError>, watching: bool, out: &mut Out) -> Outcome<Exit> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(e) if watching => {
            out.line(out.paint(Level::Broken, &e.to_string()))?;
            return Ok(Exit::Unavailable);
        }
        Err(e) => return Err(e.into()),
    };
    let status = parse(&answer.status)?;
    let now = unix_ms();
    let Headline { level, sentence, next } = view::headline(&status, now);
    out.line(out.bold(out.paint(level, &sentence)))?;
    if !next.is_empty() {
        out.line(format!("{next}."))?;
    }
    for line in view::lines(&status, now) {
        let text = if line.level == Level::Ok { line.text.into() } else { out.paint(line.level, &line.text) };
        out.line(out.dim(&format!("{:>8}", line.label)).then("  ").then(text))?;
    }
    Ok(if level == Level::Broken { Exit::Unavailable } else { Exit::Ok })
}

fn parse(status: &Value) -> Outcome<Status> {
    serde_json::from_value(status.clone()).map_err(|e| {
        let version = status.get("version").and_then(Value::as_str).unwrap_or("unknown");
        let own = env!("CARGO_PKG_VERSION");
        Failure::new(
            Exit::Unavailable,
            format!(
                "the running Leeward is version {version}, this is {own}, and its status is not understood ({e}); restart it"
            ),
        )
    })
}

/// Stable codes for scripts.
fn code(e: &ClientError) -> &'static str {
    match e {
        ClientError::NotRunning(_) => "not-running",
        ClientError::Stranger { .. } => "stranger",
        ClientError::Token(_) => "token-unusable",
        ClientError::Refused { .. } => "refused",
        ClientError::Broken { .. } => "no-answer",
    }
}
