//! Finds the Leeward that serves here, or starts one in the background that outlives its starter.
//!
//! The lock of the state folder decides between several starters: whoever loses finds the winner.

use super::platform;
use crate::{
    config::Config,
    instance::{CLIENT_TOKEN_HEADER, Client, ClientError, Record, is_held_by, reachable, read_record},
};
use std::{net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// How long an instance that answers may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(3);
/// How long a new process may take until it answers: a virus scanner looks at a program first that was just installed.
const STARTED_WITHIN: Duration = Duration::from_secs(15);
/// How long a background instance stays without a session and without requests.
pub const IDLE: Duration = Duration::from_secs(15 * 60);
/// Limit of one question to an instance on this machine.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// The same where the answer decides whether there is one: a machine that is busy makes it wait.
const FOUND_WITHIN: Duration = Duration::from_secs(2);
/// A connection is the system's to make, busy or not. Where nobody listens Linux says so at once and Windows tries for two
/// seconds; whoever waits to start an instance in its place need not.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);

/// How a background instance is started.
#[derive(Clone, Debug)]
pub struct Background {
    /// The `leeward` program.
    pub program: PathBuf,
    /// The config, which it reads again from the same places.
    pub config: Config,
    /// It ends after this long without use; `None` stays until it is told to end.
    pub exit_when_idle: Option<Duration>,
}

/// Why there is no instance to talk to.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program could not be started.
    #[error("cannot start Leeward in the background ({}): {why}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        why: std::io::Error,
    },
    /// It started and ended again.
    #[error("Leeward did not start in the background: {reason}")]
    Ended {
        /// Its exit code, where it has one.
        code: Option<i32>,
        /// Its own words.
        reason: String,
    },
    /// It is there and not ready.
    #[error("Leeward was not ready within {} s{}; `leeward status` says more, and so does the log {}", waited.as_secs(), .address.map_or(String::new(), |a| format!(" on {a}")), .log.display())]
    NotReady {
        /// How long it had.
        waited: Duration,
        /// Where it should accept.
        address: Option<SocketAddr>,
        /// Its log.
        log: PathBuf,
    },
    /// It answers and cannot be talked to.
    #[error(transparent)]
    Client(#[from] ClientError),
}

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
enum Seen {
    /// The process of the record.
    Ours(Client),
    /// Somebody who accepts a connection and says nothing.
    Silent(Record),
    /// Nobody, or another program.
    Nobody,
}

async fn look(config: &Config, limit: Duration) -> Result<Seen, ClientError> {
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
    let mut request = http.get(format!("{}/health", super::base_url(record.address))).timeout(limit);
    if let Some(token) = &config.client_token {
        request = request.header(CLIENT_TOKEN_HEADER, token.reveal());
    }
    let health: serde_json::Value = request.send().await?.json().await?;
    Ok(health.get("pid").and_then(serde_json::Value::as_u64) == Some(record.pid.into()))
}

/// What is to be told of the one that says nothing, if it is the process of the record. The system names a user's own processes.
async fn hangs(Record { pid, address, .. }: Record) -> Option<ClientError> {
    let held = tokio::task::spawn_blocking(move || is_held_by(address, pid));
    let why = || {
        let waited = FOUND_WITHIN.as_secs();
        format!("process {pid} accepts there and said nothing for {waited} s; if that goes on, end it and start Leeward again")
    };
    held.await.unwrap_or(false).then(|| ClientError::Broken { address, why: why() })
}

/// The running instance, or a new one in the background; returns once it is ready.
///
/// With `listen` a new one is started at that very address, for agents that know no other.
///
/// # Errors
/// `StartError`.
pub async fn running_or_start(background: &Background, listen: Option<SocketAddr>) -> Result<Client, StartError> {
    let begun = Instant::now();
    let (mut started, mut answered): (Option<Child>, Option<Instant>) = (None, None);
    let (mut starts_after, mut pause) = (begun, 10 * POLL);
    let mut refusal = None;
    loop {
        // Once another one is on its way, the record of the one before is of no interest.
        let limit = if started.is_none() { FOUND_WITHIN } else { ANSWER_WITHIN };
        let seen = look(&background.config, limit).await?;
        match &seen {
            Seen::Ours(client) if client.ready(ANSWER_WITHIN).await => return Ok(client.clone()),
            Seen::Ours(_) => {
                answered.get_or_insert_with(Instant::now);
            }
            _ if started.is_none() && Instant::now() >= starts_after => started = Some(start(background, listen)?),
            _ => {}
        }
        if let Some(child) = &mut started
            && let Ok(Some(status)) = child.try_wait()
        {
            let reason = last_words(child).await;
            started = None;
            // Another starter was faster, or an old instance has the lock until it has drained: look again, then try again.
            if status.code() != Some(TRY_AGAIN) {
                return Err(StartError::Ended { code: status.code(), reason });
            }
            refusal = Some(reason);
            starts_after = Instant::now() + pause;
            pause *= 2;
        }
        let (since, limit) = match answered {
            None if started.is_some() => (begun, STARTED_WITHIN),
            answered => (answered.unwrap_or(begun), READY_WITHIN),
        };
        if since.elapsed() >= limit {
            if let Seen::Silent(record) = seen
                && let Some(error) = hangs(record).await
            {
                return Err(error.into());
            }
            if let Some(reason) = refusal {
                return Err(StartError::Ended { code: Some(TRY_AGAIN), reason });
            }
            let address = read_record(&background.config.paths).map(|r| r.address).or(listen);
            return Err(StartError::NotReady { waited: limit, address, log: background.config.paths.log_file() });
        }
        sleep(POLL).await;
    }
}

/// The exit code of a `serve` that found the lock or the port taken.
pub const TRY_AGAIN: i32 = 75;

fn start(background: &Background, listen: Option<SocketAddr>) -> Result<Child, StartError> {
    let mut command = Command::new(&background.program);
    command.arg("serve").arg("--detached");
    if let Some(idle) = background.exit_when_idle {
        command.arg("--exit-when-idle").arg(humantime::format_duration(idle).to_string());
    }
    if let Some(address) = listen {
        command.arg("--listen").arg(address.to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(false);
    platform::detach(&mut command);
    command.spawn().map_err(|why| StartError::Spawn { program: background.program.clone(), why })
}

/// What an ended instance said on stderr.
async fn last_words(child: &mut Child) -> String {
    let mut text = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // Whatever arrived until then is good enough.
        timeout(ANSWER_WITHIN, stderr.take(8192).read_to_end(&mut text)).await.ok();
    }
    let text = String::from_utf8_lossy(&text);
    let text = text.trim().trim_start_matches("leeward: ").trim_start_matches("error: ");
    if text.is_empty() { "it gave no reason".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::{Lock, write_record};
    use tokio::{io::AsyncWriteExt, net::TcpListener};

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
            sleep(2 * ANSWER_WITHIN).await;
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
