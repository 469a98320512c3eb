//! What is asked of a service, whichever manager runs it: install, remove, look, wake. The halves of `platform` do the rest.

use super::{
    error::Error,
    platform,
    report::{Installed, Report, Seen, State},
    wanted::Wanted,
};
use crate::{
    config::Config,
    instance::{self, Client},
    socket_owner::{self, Owner},
};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// Limit of one question to the Leeward that serves.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a Leeward that nobody uses needs to end.
const FREED_WITHIN: Duration = Duration::from_secs(3);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(10);
/// The manager accepts on this machine.
const WOKEN_WITHIN: Duration = Duration::from_secs(1);

/// What an `install` has done.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The manager's name.
    pub manager: &'static str,
    /// Where the service listens.
    pub listen: SocketAddr,
    /// The manager holds that address from now on. Else it does from the next login on.
    pub is_held: bool,
    /// What else its user should know.
    pub notes: Vec<String>,
}

/// Writes the service's files, has the manager start it at login, and starts it. A second time mends what differs.
///
/// # Errors
/// `Error`; then what was there before is there again.
pub async fn install(config: &Config) -> Result<Installation, Error> {
    let wanted = Wanted::of(config)?;
    platform::available().await?;
    let is_held = || async { platform::holds().await == Some(wanted.listen) };
    let mut notes = Vec::new();
    if !is_held().await
        && let Ok(Some(client)) = instance::running(config).await
        && let Some(why) = free(config, &client).await
    {
        notes.push(why);
    }
    notes.extend(platform::install(&wanted).await?);
    Ok(Installation { manager: platform::MANAGER, listen: wanted.listen, is_held: is_held().await, notes })
}

/// Has a Leeward end that has the port and that nobody uses; else says why it goes on.
async fn free(config: &Config, client: &Client) -> Option<String> {
    let address = client.address();
    if address.port() != config.listen.port() {
        return None;
    }
    let stays = |why: &str| {
        Some(format!(
            "the Leeward on {address} goes on ({why}), so its port is held by the service from the next login on; it serves in \
             its place as soon as that one ends"
        ))
    };
    let holder = tokio::task::spawn_blocking(move || instance::holder_of(address, &[])).await;
    if holder.is_ok_and(|holder| holder.program.is_some_and(|program| program.starts_with("leeward-tray"))) {
        return stays("it is the tray's");
    }
    let Ok(status) = client.get("/_leeward/v1/status", ANSWER_WITHIN).await else { return stays("it does not say who uses it") };
    let Ok(stats) = client.get("/stats", ANSWER_WITHIN).await else { return stays("it does not say who uses it") };
    if is_used(&status, &stats) {
        return stays("agents use it");
    }
    client.post("/_leeward/v1/stop", &json!({ "drain_ms": 0, "release": false }), ANSWER_WITHIN).await.ok();
    let until = Instant::now() + FREED_WITHIN;
    loop {
        let owner = tokio::task::spawn_blocking(move || socket_owner::of_listener(address)).await;
        match owner {
            Ok(Owner::Nobody) => return None,
            _ if Instant::now() >= until => return stays("it does not end"),
            _ => sleep(LOOK).await,
        }
    }
}

/// Sessions, requests or tunnels; what does not say it counts as used.
fn is_used(status: &Value, stats: &Value) -> bool {
    let sessions = status.pointer("/sessions").and_then(Value::as_array).is_none_or(|sessions| !sessions.is_empty());
    let in_flight = stats.get("in_flight").and_then(Value::as_u64).is_none_or(|count| count > 0);
    let tunnels = status.pointer("/tunnels/open").and_then(Value::as_u64).is_some_and(|count| count > 0);
    sessions || in_flight || tunnels
}

/// Ends the service and removes what `install` has written, all of it or what there is; says what that was.
///
/// # Errors
/// `Error`; files that are somebody else's stay.
pub async fn uninstall() -> Result<Vec<String>, Error> {
    platform::uninstall().await
}

/// Whether it is installed, and whether the manager runs it or holds its port.
pub async fn state() -> State {
    let seen = platform::look(None).await;
    State { installed: Installed::of(&seen.files) == Installed::Yes, active: seen.is_running || seen.holds.is_some() }
}

/// Everything there is to say.
pub async fn status(config: &Config) -> Report {
    let unavailable = match platform::available().await {
        Ok(()) => None,
        Err(Error::NoManager { why, .. }) => Some(why),
        Err(why) => Some(why.to_string()),
    };
    let (wanted, listen) = (Wanted::of(config), config.listen);
    let Seen { files, enabled, is_running, holds, mut drift, mut notes } = platform::look(wanted.as_ref().ok()).await;
    let installed = Installed::of(&files);
    if let Some(held) = holds.filter(|held| *held != listen) {
        drift.insert(0, format!("the service's port is {held}, and the config says {listen}"));
    }
    if let Err(why) = wanted {
        notes.push(why.to_string());
    }
    let reachable = instance::reachable(listen);
    let paths = config.paths.clone();
    let asked = tokio::task::spawn_blocking(move || match socket_owner::of_listener(reachable) {
        Owner::Nobody => (false, None),
        _ => (true, Some(instance::holder_of(reachable, &instance::holders(&paths)).to_string())),
    });
    let (listening, port_holder) = asked.await.unwrap_or((false, None));
    let serving = match instance::running(config).await {
        Ok(client) => client,
        Err(why) => {
            notes.push(why.to_string());
            None
        }
    };
    Report {
        manager: platform::MANAGER,
        unavailable,
        installed,
        enabled,
        active: is_running || holds.is_some(),
        held: holds,
        listen,
        listening,
        port_holder,
        serving_pid: serving.as_ref().and_then(|_| instance::read_record(&config.paths)).map(|record| record.pid),
        serving: serving.map(|client| client.address()),
        drift,
        notes,
        files,
    }
}

/// True where the manager holds the address of the config for the service: whoever finds nobody there and would serve lets it
/// start the service, by a connection, and goes on with that one. Called by whoever has no socket of its own.
pub async fn wake(config: &Config) -> bool {
    let listen = config.listen;
    if platform::planned_address() != Some(listen) || platform::holds().await != Some(listen) {
        return false;
    }
    // What the manager does with it is seen by whoever waits for an instance.
    let connected = timeout(WOKEN_WITHIN, TcpStream::connect(instance::reachable(listen))).await;
    matches!(connected, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_does_not_say_who_uses_it_is_used() {
        let idle = (json!({ "sessions": [], "tunnels": { "open": 0 } }), json!({ "in_flight": 0 }));
        assert!(!is_used(&idle.0, &idle.1));
        for (status, stats) in [
            (json!({ "sessions": [{ "agent": "claude" }] }), json!({ "in_flight": 0 })),
            (json!({ "sessions": [] }), json!({ "in_flight": 1 })),
            (json!({ "sessions": [], "tunnels": { "open": 2 } }), json!({ "in_flight": 0 })),
            (json!({}), json!({ "in_flight": 0 })),
            (json!({ "sessions": [] }), json!({})),
        ] {
            assert!(is_used(&status, &stats), "{status} {stats}");
        }
    }
}
