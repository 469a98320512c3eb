//! Finds the Leeward that serves here. The control token goes to nobody before it is certain who answers. Starts nothing.

use super::{
    address::{base_url, reachable},
    client::{Client, ClientError},
    holder::is_held_by,
    record::{Record, read_record},
};
use crate::config::{CLIENT_TOKEN_HEADER, Config};
use std::time::Duration;

/// Limit of a question whose answer decides whether there is an instance: a machine that is busy makes it wait.
pub(super) const FOUND_WITHIN: Duration = Duration::from_secs(2);
/// A connection is the system's to make, busy or not. Where nobody listens Linux says so at once and Windows tries for two
/// seconds; whoever waits to start an instance in its place need not.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);

/// The instance that serves from these files and answers; `None` when none does.
///
/// The control token is sent to nobody before it is certain that the recorded process answers.
///
/// # Errors
/// When the instance is there and does not answer, or the token cannot be used.
pub async fn running(config: &Config) -> Result<Option<Client>, ClientError> {
    match look(config, FOUND_WITHIN).await? {
        Seen::Ours(client) => Ok(Some(client)),
        Seen::Silent(record) => hangs(record).await.map_or(Ok(None), Err),
        Seen::Nobody => Ok(None),
    }
}

/// What there is at the address of the record.
pub(super) enum Seen {
    /// The process of the record.
    Ours(Client),
    /// Somebody who accepts a connection and says nothing.
    Silent(Record),
    /// Nobody, or another program.
    Nobody,
}

pub(super) async fn look(config: &Config, limit: Duration) -> Result<Seen, ClientError> {
    let Some(mut record) = read_record(&config.paths) else { return Ok(Seen::Nobody) };
    record.address = reachable(record.address);
    match ask(&record, config, limit).await {
        Ok(true) => {
            let client = Client::at(record.address, &config.paths)?;
            Ok(Seen::Ours(client.with_client_token(config.client_token.clone())))
        }
        Err(e) if e.is_timeout() && !e.is_connect() => Ok(Seen::Silent(record)),
        _ => Ok(Seen::Nobody),
    }
}

/// True when the process of the record answers at its address.
///
/// A client token is for everybody who may be a client, so it may be sent before.
async fn ask(record: &Record, config: &Config, limit: Duration) -> reqwest::Result<bool> {
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let http = http.connect_timeout(CONNECTED_WITHIN).build()?;
    let mut request = http.get(format!("{}/health", base_url(record.address))).timeout(limit);
    if let Some(token) = &config.client_token {
        request = request.header(CLIENT_TOKEN_HEADER, token.reveal());
    }
    let health: serde_json::Value = request.send().await?.json().await?;
    Ok(health.get("pid").and_then(serde_json::Value::as_u64) == Some(record.pid.into()))
}

/// What is to be told of the one that says nothing, if it is the process of the record. The system names a user's own processes.
pub(super) async fn hangs(Record { pid, address, .. }: Record) -> Option<ClientError> {
    let held = tokio::task::spawn_blocking(move || is_held_by(address, pid));
    let why = || {
        let waited = FOUND_WITHIN.as_secs();
        format!("process {pid} accepts there and said nothing for {waited} s; if that goes on, end it and start Leeward again")
    };
    held.await.unwrap_or(false).then(|| ClientError::Broken { address, why: why() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::{Lock, write_record};
    use tokio::{io::AsyncWriteExt, net::TcpListener, time::sleep};

    /// Of a home of its own, whose record names this process and a listener of it.
    async fn recorded() -> (tempfile::TempDir, Config, Lock, TcpListener) {
        let home = tempfile::tempdir().unwrap();
        let config = Config::under(home.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (pid, address) = (std::process::id(), listener.local_addr().unwrap());
        let lock = Lock::acquire(&config.paths).unwrap();
        write_record(&config.paths, &Record { pid, address, version: "1".into(), started_unix_ms: 1 }).unwrap();
        (home, config, lock, listener)
    }

    #[tokio::test]
    async fn an_instance_that_a_busy_machine_makes_wait_is_found() {
        let (_home, config, _lock, listener) = recorded().await;
        let answer = async {
            let (mut client, _) = listener.accept().await.unwrap();
            // Twice as long as a machine takes that has nothing else to do.
            sleep(Duration::from_secs(1)).await;
            let body = format!("{{\"pid\":{}}}", std::process::id());
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
            client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            client
        };
        let (found, _client) = tokio::join!(running(&config), answer);
        assert_eq!(found.unwrap().map(|client| client.address()), listener.local_addr().ok());
    }

    #[tokio::test]
    async fn an_instance_that_hangs_is_not_said_to_be_none() {
        let (_home, config, _lock, listener) = recorded().await;
        let told = running(&config).await.unwrap_err().to_string();
        let (address, pid) = (listener.local_addr().unwrap(), std::process::id());
        assert!(told.contains(&address.to_string()) && told.contains(&format!("process {pid} accepts there")), "{told}");
        drop(listener);
        assert!(running(&config).await.unwrap().is_none());
    }
}
