//! `leeward stop`: ends the running instance on purpose. Says first who still uses it, since their connections are refused.

use crate::{
    block_on, config,
    exit::{Exit, Failure, Outcome},
    out::{Out, say},
    progress,
};
use leeward::{
    config::Config,
    instance::{self, ClientError},
    service,
    status::Status,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Holders let go within a second each, at once; then the port is closed first thing.
const STOPPED_WITHIN: Duration = Duration::from_secs(5);
/// A service is there to bring Leeward back.
const END_SERVICE: &str = "`leeward service uninstall` ends the service";
const LOOK: Duration = Duration::from_millis(20);

/// Runs `leeward stop`.
pub(crate) fn run(out: &mut Out) -> Outcome {
    let config = config::load_to_ask()?;
    let stopped = block_on(progress::while_waiting("stopping", stop(&config)))??;
    out.line(stopped)?;
    Ok(Exit::Ok as i32)
}

async fn stop(config: &Config) -> Outcome<String> {
    let client = instance::running(config).await?.ok_or(ClientError::NotRunning(None))?;
    let status = client.get("/_leeward/v1/status", STOPPED_WITHIN).await?;
    let in_flight = client.get("/stats", STOPPED_WITHIN).await?.get("in_flight").and_then(serde_json::Value::as_u64);
    let pid = status.get("pid").and_then(serde_json::Value::as_u64);
    if let Ok(Status { sessions, .. }) = serde_json::from_value(status) {
        let users: Vec<_> = sessions.iter().map(|session| format!("{} (pid {})", session.agent, session.pid)).collect();
        if !users.is_empty() {
            let agents =
                if users.len() == 1 { "1 agent still uses".to_owned() } else { format!("{} agents still use", users.len()) };
            say(format!("{agents} it and will be refused: {}", users.join(", ")));
        }
    }
    let drain_ms = u64::try_from(config.drain.as_millis()).unwrap_or(u64::MAX);
    client.post("/_leeward/v1/stop", &json!({ "drain_ms": drain_ms, "release": true }), STOPPED_WITHIN).await?;
    let until = Instant::now() + STOPPED_WITHIN;
    while matches!(instance::running(config).await, Ok(Some(_))) {
        let now = instance::read_record(&config.paths).map(|record| u64::from(record.pid));
        if pid.is_some() && now.is_some() && now != pid {
            return Ok(format!("Leeward has stopped, and the service serves in its place; {END_SERVICE}"));
        }
        if Instant::now() >= until {
            return Err(Failure::new(Exit::Unavailable, format!("Leeward on {} still accepts; try again", client.address())));
        }
        sleep(LOOK).await;
    }
    let drain = humantime::format_duration(config.drain);
    let stopped = match in_flight {
        Some(count @ 1..) => format!("Leeward accepts no more; requests in flight ({count}) may finish within {drain}"),
        _ => "Leeward has stopped".to_owned(),
    };
    Ok(match service::state().await.active {
        true => format!("{stopped}; the service starts it again when an agent connects: {END_SERVICE}"),
        false => stopped,
    })
}
