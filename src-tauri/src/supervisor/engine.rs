//! A running engine as its program holds it: started, asked, stopped. What it does, its supervisor's loop decides.

use super::{backstop, hooks::TestHooks, options::EngineOptions, platform, run, socket, start_error::StartError};
use crate::{
    config::{Config, Egress, Paths, Secret},
    control::{Command, Commands, Sessions},
    files,
    health::{Code, Tracker},
    inbound::listen,
    instance::{self, TokenError},
    ledger::Ledger,
    message::HeldBytes,
    network::{self, Network, NetworkNews, NetworkWhy},
    proxy::{Channels, Shared},
    status::Status,
    telemetry::Traffic,
    upstream::{Remember, SessionUpstream},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{self as std_mpsc, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::{mpsc, watch};
use url::Url;

/// A running engine. Dropping it stops the engine without a drain; `stop` drains.
#[derive(Debug)]
pub struct Engine {
    address: SocketAddr,
    status: watch::Receiver<Status>,
    commands: Commands,
    sessions: Sessions,
    traffic: Arc<Traffic>,
    health: Tracker,
    held: HeldBytes,
    network: mpsc::Sender<NetworkNews>,
    thread: Option<JoinHandle<()>>,
}

/// The first generation comes up in milliseconds; a machine that needs this long is in trouble of its own.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Commands that may wait.
const COMMANDS: usize = 16;
/// News of the network that may wait; one that waits covers those that come meanwhile.
const NEWS: usize = 4;
/// Questions about the history that may wait; each is answered in milliseconds.
const QUESTIONS: usize = 16;

impl Engine {
    /// Binds and starts; returns once the first generation accepts.
    ///
    /// # Errors
    /// `StartError`, whose message is for the user.
    pub fn start(config: Config, host: impl Into<EngineOptions>) -> Result<Self, StartError> {
        Self::start_with(config, host, TestHooks::default())
    }

    /// As `start`, with the hooks of a test.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_with(config: Config, host: impl Into<EngineOptions>, hooks: TestHooks) -> Result<Self, StartError> {
        let EngineOptions {
            reload,
            settings,
            refilter,
            log_trouble,
            panel,
            window,
            examiner,
            words,
            scan,
            lock,
            inherited,
            stays,
            former,
            keeps_token,
            may_leave,
        } = host.into();
        platform::raise_file_limit();
        let health = Tracker::default();
        let socket = match inherited {
            Some(listener) => socket::Socket::inherit(listener, stays, &config, &health)?,
            None => socket::Socket::bind(&config, &health, may_leave)?,
        };
        let address = socket.address();
        let former = former.into_iter().filter_map(socket::Socket::former).collect();
        let kept = keeps_token.then(|| instance::read_token(&config.paths)).transpose()?;
        let token = kept.map_or_else(|| new_token(&config.paths, &health), Ok)?;
        let (commands, commanded) = mpsc::channel(COMMANDS);
        let (publish, status) = watch::channel(Status::starting());
        let sessions = Sessions::default();
        let (networks, network) = watch::channel(Network::default());
        let (history, questions) = mpsc::channel(QUESTIONS);
        let channels = Channels {
            commands: commands.clone(),
            status: status.clone(),
            sessions: sessions.clone(),
            health,
            network,
            history,
            settings,
            panel,
            window,
            examiner,
            words,
            scan,
        };
        let shared = Shared::new(&config, token, channels, known_upstreams(&config.paths), remember(config.paths.clone()));
        let shared = Arc::new(shared);
        let (traffic, held) = (shared.traffic.clone(), shared.held());
        let ledger = Ledger::start(&config, shared.health.clone(), &traffic, questions);
        let (told, news) = mpsc::channel(NEWS);
        let source = hooks.network.unwrap_or_else(|| Arc::new(|news| Box::pin(network::watch(news))));
        let source = source(told.clone());
        let adopt = hooks.adopt.unwrap_or_else(|| Arc::new(listen::adopt));
        let (ready, wait) = std_mpsc::sync_channel(1);
        let (health, told_by, picture) = (shared.health.clone(), shared.health.clone(), publish.clone());
        let parts = run::Parts {
            config,
            reload,
            refilter,
            log_trouble,
            shared,
            socket,
            former,
            lock,
            publish,
            commanded,
            network: networks,
            news,
            source,
            ledger,
            adopt,
            each_turn: hooks.each_turn,
            ready,
        };
        let thread = std::thread::Builder::new()
            .name("leeward-supervisor".into())
            .spawn(move || backstop::guard(&told_by, &picture, || run::run(parts)))
            .map_err(|e| StartError::Engine(e.to_string()))?;
        match wait.recv_timeout(START_LIMIT) {
            Ok(Ok(())) => {
                Ok(Self { address, status, commands, sessions, traffic, health, held, network: told, thread: Some(thread) })
            }
            failed => {
                // Its thread must not go on with a port that nobody knows of.
                commands.try_send(Command::Stop { drain: Duration::ZERO }).ok();
                Err(StartError::Engine(match failed {
                    Ok(refused) => refused.err().unwrap_or_default(),
                    Err(RecvTimeoutError::Timeout) => format!("it did not accept within {START_LIMIT:?}"),
                    Err(RecvTimeoutError::Disconnected) => "its supervisor has failed (the log says why)".into(),
                }))
            }
        }
    }

    /// Where it began to accept; the port that was found when the configured one was 0 or taken. The status has the present one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The status, and its changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Where commands go.
    pub fn commands(&self) -> Commands {
        self.commands.clone()
    }

    /// The open `wrap` sessions.
    pub fn sessions(&self) -> Sessions {
        self.sessions.clone()
    }

    /// Counters.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// Conditions, for what its program sees to be wrong.
    pub fn health(&self) -> Tracker {
        self.health.clone()
    }

    /// Bytes held now: of requests for replay, of responses until they are let go.
    pub fn held_bytes(&self) -> u64 {
        self.held.now()
    }

    /// Treats the network as changed from now on, as after sleep: for whoever knows what the system did not report.
    pub fn network_changed(&self) {
        // Full: one that waits does the same. Closed: the engine is ending.
        self.network.try_send(NetworkNews::Changed { why: NetworkWhy::Reported, fingerprint: None }).ok();
    }

    /// Stops accepting, lets requests in flight finish for at most `drain`, and waits for the end. Blocks.
    pub fn stop(mut self, drain: Duration) {
        self.end(drain);
    }

    fn end(&mut self, drain: Duration) {
        let Some(thread) = self.thread.take() else { return };
        // Closed: it is stopping already. Full: restarts are waiting, and each takes milliseconds.
        while let Err(mpsc::error::TrySendError::Full(_)) = self.commands.try_send(Command::Stop { drain }) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if thread.join().is_err() {
            tracing::error!("the supervisor's thread panicked");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// A new control token. Where it cannot be written the engine serves all the same, and nobody can give it commands.
fn new_token(paths: &Paths, health: &Tracker) -> Result<Secret, TokenError> {
    instance::create_token(paths).or_else(|why| {
        let sentence = format!(
            "{why}. Requests are served, but commands and new sessions of `wrap` cannot use this Leeward. Free some space or \
             mend the state folder, then start Leeward again."
        );
        health.set(Code::StateUnwritable, Some("control.token"), sentence);
        instance::unwritten_token(paths)
    })
}

/// Sessions' upstreams as they are written down: by name the URL, or the URL as one that lasts, or with its own way out.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Remembered {
    Session(String),
    Lasting { lasting: String },
    Apart { apart: String, egress: Egress },
}

/// Sessions' upstreams from before; a file that cannot be read costs them until their `wrap` reconnects.
fn known_upstreams(paths: &Paths) -> BTreeMap<String, SessionUpstream> {
    let Ok(bytes) = files::read(&paths.session_upstreams_file()) else { return BTreeMap::new() };
    let known = |(name, remembered)| {
        let (url, egress, lasting) = match remembered {
            Remembered::Session(url) => (url, None, false),
            Remembered::Lasting { lasting } => (lasting, None, true),
            Remembered::Apart { apart, egress } => (apart, Some(egress), false),
        };
        Some((name, SessionUpstream { url: Url::parse(&url).ok()?, egress, lasting }))
    };
    serde_json::from_slice::<BTreeMap<String, Remembered>>(&bytes)
        .map(|map| map.into_iter().filter_map(known).collect())
        .unwrap_or_else(|e| {
            tracing::warn!("{} is damaged and ignored: {e}", paths.session_upstreams_file().display());
            BTreeMap::new()
        })
}

fn remember(paths: Paths) -> Remember {
    Box::new(move |known| {
        let remembered = |SessionUpstream { url, egress, lasting }: &SessionUpstream| match (egress, lasting) {
            (Some(egress), _) => Remembered::Apart { apart: url.to_string(), egress: egress.clone() },
            (None, false) => Remembered::Session(url.to_string()),
            (None, true) => Remembered::Lasting { lasting: url.to_string() },
        };
        // No password is written down. The session tells it again.
        let has_login = |known: &SessionUpstream| known.egress.as_ref().is_some_and(Egress::has_login);
        let written = known.iter().filter(|(_, known)| !has_login(known));
        let text: BTreeMap<&str, Remembered> = written.map(|(name, known)| (name.as_str(), remembered(known))).collect();
        instance::write_atomically(&paths.session_upstreams_file(), &serde_json::to_vec_pretty(&text)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_to_come_knows_what_was_written_down_also_by_an_older_one() {
        let home = tempfile::tempdir().unwrap();
        let paths = Config::under(home.path()).unwrap().paths;
        std::fs::create_dir_all(&paths.state_dir).unwrap();
        let one = |url: &str, lasting| SessionUpstream { url: Url::parse(url).unwrap(), egress: None, lasting };
        let known = [("gw-1", one("https://a.corp", false)), ("gw-env", one("https://b.corp/v1", true))];
        let known: BTreeMap<String, SessionUpstream> = known.map(|(name, known)| (name.to_owned(), known)).into();
        remember(paths.clone())(&known).unwrap();
        assert_eq!(known_upstreams(&paths), known);
        std::fs::write(paths.session_upstreams_file(), r#"{"gw-1a2b3c4d":"https://a.corp"}"#).unwrap();
        assert_eq!(known_upstreams(&paths), BTreeMap::from([("gw-1a2b3c4d".to_owned(), one("https://a.corp", false))]));
        std::fs::write(paths.session_upstreams_file(), "{").unwrap();
        assert!(known_upstreams(&paths).is_empty());
    }

    #[test]
    fn the_way_out_of_an_agent_is_written_down_unless_it_has_a_password() {
        let home = tempfile::tempdir().unwrap();
        let paths = Config::under(home.path()).unwrap().paths;
        std::fs::create_dir_all(&paths.state_dir).unwrap();
        for (proxy, written) in [("http://gate.corp:3128", true), ("http://me:hush@gate.corp:3128", false)] {
            let env = |name: &str| (name == "HTTPS_PROXY").then(|| proxy.to_owned());
            let egress = Some(Egress::of_agent(&env, home.path(), &|_| false));
            let upstream = SessionUpstream { url: Url::parse("https://a.corp").unwrap(), egress, lasting: false };
            let known = BTreeMap::from([("gw-1".to_owned(), upstream)]);
            remember(paths.clone())(&known).unwrap();
            assert_eq!(known_upstreams(&paths) == known, written, "{proxy}");
            assert!(!std::fs::read_to_string(paths.session_upstreams_file()).unwrap().contains("hush"));
        }
    }
}
