//! Starts a Leeward in the background that outlives its starter, unless one serves here already.
//!
//! The lock of the state folder decides between several starters: whoever loses finds the winner.

#[cfg(unix)]
#[path = "start/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "start/windows.rs"]
mod platform;

pub use platform::{close_inherited, leave_terminal};

use super::{
    client::{Client, ClientError},
    find::{FOUND_WITHIN, Seen, hangs, look},
    hung::{Hung, Silence},
    private::open_private_file,
    program::startable,
    record::read_record,
};
use crate::config::{Config, Paths};
use std::{
    fs::{File, TryLockError},
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    time::Duration,
};
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
/// Whoever has the turn may have been stopped.
const OTHERS_START_WITHIN: Duration = Duration::from_secs(3);
/// Limit of one question to an instance on this machine.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(10);

/// How a background instance is started.
#[derive(Clone, Debug)]
pub struct Background {
    /// The `leeward` program.
    pub program: PathBuf,
    /// The config, which it reads again from the same places.
    pub config: Config,
    /// It ends after this long without use; `None` stays until it is asked to end.
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

/// The running instance, or a new one in the background; returns once it is ready.
///
/// With `listen` a new one is started at that very address, for agents that know no other.
///
/// # Errors
/// `StartError`.
pub async fn running_or_start(background: &Background, listen: Option<SocketAddr>) -> Result<Client, StartError> {
    let begun = Instant::now();
    let (mut started, mut answered): (Option<(Child, Option<Turn>)>, Option<Instant>) = (None, None);
    let (mut starts_after, mut pause) = (begun, 10 * POLL);
    let (mut refusal, mut hung) = (None, Hung::default());
    loop {
        // Once another one is on its way, the record of the one before is of no interest.
        let limit = if started.is_none() { FOUND_WITHIN } else { ANSWER_WITHIN };
        let seen = look(&background.config, limit).await?;
        let may_start = match &seen {
            Seen::Ours(client) if client.ready(ANSWER_WITHIN).await => return Ok(client.clone()),
            Seen::Ours(_) => {
                hung.is_over();
                answered.get_or_insert_with(Instant::now);
                false
            }
            Seen::Silent(record) => hung.is_silent(record).await == Silence::Unknown,
            Seen::Stranger(..) | Seen::Nobody => {
                hung.is_over();
                true
            }
        };
        if may_start && started.is_none() && Instant::now() >= starts_after {
            // Of many that begin at once, one starts it and the others find it.
            let turn = Turn::take(&background.config.paths);
            if turn.is_some() || begun.elapsed() >= OTHERS_START_WITHIN {
                started = Some((start(background, listen)?, turn));
            }
        }
        if let Some((child, _)) = &mut started
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
            None if refusal.is_none() || started.is_some() => (begun, STARTED_WITHIN),
            answered => (answered.unwrap_or(begun), READY_WITHIN),
        };
        if since.elapsed() >= limit {
            match seen {
                Seen::Silent(record) => {
                    if let Some(error) = hangs(record).await {
                        return Err(error.into());
                    }
                }
                Seen::Stranger(record, why) => return Err(ClientError::Stranger { address: record.address, why }.into()),
                Seen::Ours(_) | Seen::Nobody => {}
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

/// The turn to start one, kept while it comes up. The system takes it back however this process ends.
struct Turn(#[expect(dead_code, reason = "held, never read")] Option<File>);

impl Turn {
    /// `None` while another process has it. Where nobody can be asked (a folder that became read-only) it is everybody's.
    fn take(paths: &Paths) -> Option<Self> {
        let Ok(file) = open_private_file(&paths.start_lock_file()) else { return Some(Self(None)) };
        match file.try_lock() {
            Ok(()) => Some(Self(Some(file))),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(_)) => Some(Self(None)),
        }
    }
}

/// The exit code of a `serve` that found the lock or the port taken.
pub const TRY_AGAIN: i32 = 75;

fn start(background: &Background, listen: Option<SocketAddr>) -> Result<Child, StartError> {
    let mut command = Command::new(startable(&background.program));
    command.arg("serve").arg("--detached");
    if let Some(stand_in) = &background.config.paths.stands_in {
        command.arg("--state").arg(&stand_in.folder);
    }
    if let Some(idle) = background.exit_when_idle {
        command.arg("--exit-when-idle").arg(humantime::format_duration(idle).to_string());
    }
    if let Some(address) = listen {
        command.arg("--listen").arg(address.to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(false);
    platform::spawn_detached(&mut command).map_err(|why| StartError::Spawn { program: background.program.clone(), why })
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
