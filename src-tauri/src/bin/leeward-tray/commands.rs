//! What the panel may ask. The engine decides: restart and status go through its channels, so that they work whatever
//! its listener does; the rest is asked of its own paths, where a browser asks too, so that both get the same.

use crate::here::Here;
use leeward::{
    control::{Command, Commands, Restarted},
    instance::{Client, ClientError},
    status::Status,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};
use tauri::State;
use tokio::sync::{oneshot, watch};

/// Answers come in milliseconds; a question over a large history on a slow disk takes this long at most.
const LIMIT: Duration = Duration::from_secs(10);
/// The status is known here as well, so nobody waits long for the fuller one.
const STATUS_LIMIT: Duration = Duration::from_secs(1);

/// The engine ends a test of a connection after nine seconds.
const TEST_LIMIT: Duration = Duration::from_secs(12);

/// Why a command was not done, in the shape in which `/_leeward/v1` says so.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Refusal {
    /// Stable, kebab-case.
    pub(crate) code: String,
    /// A sentence for the user.
    pub(crate) message: String,
    /// What is wrong with each key of a change to the config.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[cfg_attr(test, ts(type = "unknown", optional))]
    pub(crate) errors: Value,
}

impl Refusal {
    /// Without details.
    pub(crate) fn new(code: &str, message: impl ToString) -> Self {
        Self { code: code.into(), message: message.to_string(), errors: Value::Null }
    }
}

impl From<ClientError> for Refusal {
    fn from(why: ClientError) -> Self {
        match why {
            ClientError::Refused { message, body, .. } => Self {
                code: body.pointer("/error/code").and_then(Value::as_str).unwrap_or("refused").into(),
                message,
                errors: body.get("errors").cloned().unwrap_or_default(),
            },
            ClientError::NotRunning(_) => Self::new("not-accepting", "The engine does not accept; Restart makes a new one."),
            ClientError::Token(_) | ClientError::Stranger { .. } | ClientError::Broken { .. } => Self::new("no-answer", why),
        }
    }
}

/// The status the panel starts with; later ones come as `status` events.
#[tauri::command]
pub(crate) async fn status(here: State<'_, Arc<Here>>, picture: State<'_, watch::Receiver<Status>>) -> Result<Value, Refusal> {
    match here.client().get("/_leeward/v1/status", STATUS_LIMIT).await {
        Ok(status) => Ok(status),
        Err(_) => serde_json::to_value(&*picture.borrow()).map_err(|why| Refusal::new("no-status", why)),
    }
}

/// A new engine generation on the same socket.
#[tauri::command]
pub(crate) async fn restart(commands: State<'_, Commands>) -> Result<Restarted, Refusal> {
    ask_for_restart(&commands).await
}

/// The command itself, for the panel and the menu.
pub(crate) async fn ask_for_restart(commands: &Commands) -> Result<Restarted, Refusal> {
    let ended = || Refusal::new("ended", "The engine has ended; quit Leeward and start it again.");
    let (reply, answer) = oneshot::channel();
    commands.send(Command::Restart { reply }).await.map_err(|_| ended())?;
    answer.await.map_err(|_| ended())?.map_err(|why| Refusal::new("not-restarted", why))
}

/// Counters and latencies.
#[tauri::command]
pub(crate) async fn stats(here: State<'_, Arc<Here>>) -> Result<Value, Refusal> {
    get(&here.client(), "stats").await
}

/// The requests of this moment and the last ones.
#[tauri::command]
pub(crate) async fn activity(here: State<'_, Arc<Here>>) -> Result<Value, Refusal> {
    get(&here.client(), "activity").await
}

/// Which agents there are, and which come through Leeward.
#[tauri::command]
pub(crate) async fn coverage(here: State<'_, Arc<Here>>) -> Result<Value, Refusal> {
    let client = here.client();
    get(&client, "agents").await
}

/// Faults and counts over time. The words are those of `/_leeward/v1/history`, and checked there.
#[tauri::command]
pub(crate) async fn history(
    here: State<'_, Arc<Here>>,
    since: Option<String>,
    until: Option<String>,
    step: Option<String>,
    limit: Option<String>,
) -> Result<Value, Refusal> {
    let words = [("since", since), ("until", until), ("step", step), ("limit", limit)];
    get(&here.client(), &path("history", words)).await
}

/// Every key of the config and who decides it.
#[tauri::command]
pub(crate) async fn config_get(here: State<'_, Arc<Here>>) -> Result<Value, Refusal> {
    get(&here.client(), "config").await
}

/// What is wrong with changes to the config; nothing is changed.
#[tauri::command]
pub(crate) async fn config_check(here: State<'_, Arc<Here>>, set: Map<String, Value>) -> Result<Value, Refusal> {
    post(&here.client(), "config/check", &json!({ "set": set })).await
}

/// Saves changes to the config, all or none; they are in force with the response.
#[tauri::command]
pub(crate) async fn config_set(here: State<'_, Arc<Here>>, set: Map<String, Value>) -> Result<Value, Refusal> {
    post(&here.client(), "config", &json!({ "set": set })).await
}

/// The way to an upstream, step by step.
#[tauri::command]
pub(crate) async fn test_connection(here: State<'_, Arc<Here>>, upstream: Option<String>) -> Result<Value, Refusal> {
    Ok(here.client().post("/_leeward/v1/test", &json!({ "upstream": upstream }), TEST_LIMIT).await?)
}

/// The end of the log.
#[tauri::command]
pub(crate) async fn logs(here: State<'_, Arc<Here>>, lines: Option<usize>, level: Option<String>) -> Result<Value, Refusal> {
    get(&here.client(), &path("logs", [("lines", lines.map(|n| n.to_string())), ("level", level)])).await
}

async fn get(client: &Client, path: &str) -> Result<Value, Refusal> {
    Ok(client.get(&format!("/_leeward/v1/{path}"), LIMIT).await?)
}

async fn post(client: &Client, path: &str, body: &Value) -> Result<Value, Refusal> {
    Ok(client.post(&format!("/_leeward/v1/{path}"), body, LIMIT).await?)
}

/// A path with the words that are there, escaped.
fn path<const N: usize>(name: &str, words: [(&str, Option<String>); N]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in words {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    match query.finish() {
        query if query.is_empty() => name.to_owned(),
        query => format!("{name}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cannot_leave_their_place_in_the_path() {
        assert_eq!(path("history", [("since", None)]), "history");
        let asked = path("history", [("since", Some("7d&limit=9#/../stop".into())), ("step", Some("1h".into()))]);
        assert_eq!(asked, "history?since=7d%26limit%3D9%23%2F..%2Fstop&step=1h");
    }

    #[test]
    fn a_refusal_keeps_what_is_wrong_key_by_key() {
        let errors = json!([{ "key": "listen", "message": "no such address" }]);
        let body = json!({ "error": { "code": "bad-values", "message": "listen: no such address." }, "errors": errors });
        let address = ([127, 0, 0, 1], 1).into();
        let refusal = Refusal::from(ClientError::Refused {
            address,
            status: 422,
            message: "listen: no such address.".into(),
            body: body.into(),
        });
        assert_eq!(refusal, Refusal { code: "bad-values".into(), message: "listen: no such address.".into(), errors });
        let refusal = Refusal::from(ClientError::NotRunning(Some(address)));
        assert_eq!(serde_json::to_value(&refusal).unwrap()["code"], "not-accepting");
        assert!(serde_json::to_value(&refusal).unwrap().get("errors").is_none());
    }
}
