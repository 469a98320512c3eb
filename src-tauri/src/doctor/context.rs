//! What the checks look at: the config, who serves here, the user's surroundings. Found once, before the checks.

use super::check::{Check, FIND_LIMIT};
use crate::{
    config::{self, Config, Flags, Paths, Settings, Sources},
    instance::{self, Client, ClientError, Holder, Record, holder_of, read_record},
    socket_owner::{self, Owner},
    upstream::Prober,
};
use futures_util::future::join;
use serde_json::Value;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::timeout;
use url::Url;

/// Looks up an environment variable.
pub(super) type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What is examined.
pub struct Options {
    /// The config in force, or why there is none.
    pub config: Result<Config, config::Error>,
    /// What Leeward goes on with where the config is invalid.
    pub last_good: Option<Config>,
    /// Everything that is wrong with the config, one sentence each.
    pub complaints: Vec<String>,
    /// Leeward's files, found also where the config is invalid.
    pub paths: Option<Paths>,
    /// The environment.
    pub env: Arc<dyn Fn(&str) -> Option<String> + Send + Sync>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The folder whose project files count.
    pub cwd: PathBuf,
    /// Whose environment that is.
    pub place: Place,
    /// Which checks; empty: all.
    pub checks: Vec<Check>,
    /// Also those that take a minute.
    pub long: bool,
}

/// Where the examination runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The user's terminal, where agents are started, too.
    Terminal,
    /// The running Leeward, whose environment is not that of a terminal.
    Engine,
}

impl Place {
    /// Why a check of a minute did not run.
    pub(super) fn unasked(self) -> &'static str {
        match self {
            Self::Terminal => "only with --long",
            Self::Engine => "it takes a minute, and was not asked for",
        }
    }

    /// Whose environment was looked at.
    pub(super) fn whose(self) -> &'static str {
        match self {
            Self::Terminal => "in this terminal",
            Self::Engine => "in Leeward's own environment",
        }
    }
}

impl Options {
    /// What an engine with these settings is examined for; the checks are chosen later.
    pub fn of(settings: &Settings, home: Option<PathBuf>) -> Self {
        let config = settings.load();
        let paths = config.as_ref().map(|config| config.paths.clone()).ok().or_else(|| settings.paths());
        Self {
            last_good: if config.is_err() { settings.load_to_start().ok() } else { None },
            complaints: settings.errors().iter().map(ToString::to_string).collect(),
            config,
            paths,
            env: Arc::new(config::environment),
            home,
            cwd: std::env::current_dir().unwrap_or_default(),
            place: Place::Engine,
            checks: Vec::new(),
            long: false,
        }
    }

    /// The checks that are asked for, in the order of the report.
    pub(super) fn chosen(&self) -> impl Iterator<Item = Check> + use<'_> {
        Check::ALL.iter().copied().filter(|check| self.checks.is_empty() || self.checks.contains(check))
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("checks", &self.checks).field("long", &self.long).finish_non_exhaustive()
    }
}

/// No wait of the dial takes longer here than the checks may: a name, a connection and a handshake.
const LIMITS: [Duration; 3] = [Duration::from_millis(2000), Duration::from_millis(2000), Duration::from_millis(2500)];
/// To ask the running engine.
const ASKED_WITHIN: Duration = Duration::from_millis(1500);
/// More upstreams than anybody uses at once.
const MOST_UPSTREAMS: usize = 4;

/// Who serves here.
#[derive(Debug)]
pub(super) enum Serving {
    /// This Leeward, by proof; what it says of itself, where it could be asked.
    Ours { client: Box<Client>, status: Result<Value, String>, stats: Result<Value, String> },
    /// It cannot be used, and why.
    Unusable(ClientError),
    /// Nobody; a record that was left behind, and who has the port, if somebody has.
    Nobody { left: Option<Record>, port: PortHolder },
    /// There is no config to find it by.
    NotAsked,
    /// It could not be found out in time.
    Unanswered,
}

impl Serving {
    /// Why nothing is asked of a running Leeward.
    pub(super) fn why_not(&self) -> &'static str {
        match self {
            Self::Ours { .. } | Self::Nobody { .. } => "no Leeward is running",
            Self::Unusable(_) | Self::Unanswered => "the Leeward that should be running does not answer",
            Self::NotAsked => "the config is invalid, so it is not known where a Leeward would be",
        }
    }
}

/// Who listens on the port of the config.
#[derive(Debug)]
pub(super) enum PortHolder {
    Nobody,
    Somebody(Holder),
    /// The system could not be asked.
    Unknown(String),
}

pub(super) struct Context {
    /// The config in force; what Leeward goes on with where it is invalid.
    pub(super) config: Option<Config>,
    /// The config is invalid, so `config` holds the next best one.
    pub(super) is_invalid: bool,
    pub(super) complaints: Vec<String>,
    pub(super) paths: Option<Paths>,
    pub(super) env: Env,
    pub(super) home: Option<PathBuf>,
    pub(super) cwd: PathBuf,
    pub(super) place: Place,
    pub(super) serving: Serving,
    /// By name: the default upstream, and those that the running engine has had requests for.
    pub(super) upstreams: BTreeMap<String, Url>,
    pub(super) prober: Option<Arc<Prober>>,
}

impl Context {
    pub(super) async fn new(options: Options) -> Self {
        let Options { config, last_good, complaints, paths, env, home, cwd, place, .. } = options;
        let is_invalid = config.is_err();
        let config = config.ok().or(last_good).or_else(|| defaults(paths.as_ref()?, &env));
        let serving = match &config {
            Some(config) => timeout(FIND_LIMIT, who_serves(config)).await.unwrap_or(Serving::Unanswered),
            None => Serving::NotAsked,
        };
        let upstreams = config.as_ref().map(|config| upstreams(config, &serving)).unwrap_or_default();
        let own = |config: &Config| match &serving {
            Serving::Ours { client, .. } => client.address(),
            _ => config.listen,
        };
        let prober = config.as_ref().map(|config| Arc::new(Prober::new(limited(config.clone()), own(config))));
        Self { config, is_invalid, complaints, paths, env, home, cwd, place, serving, upstreams, prober }
    }

    pub(super) fn var(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// Where Leeward accepts, or would.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match &self.serving {
            Serving::Ours { client, .. } => Some(client.address()),
            _ => self.config.as_ref().map(|config| instance::reachable(config.listen)),
        }
    }
}

/// The defaults, with the proxies of the environment.
fn defaults(paths: &Paths, env: &Env) -> Option<Config> {
    let nowhere = paths.state_dir.join("no-config").display().to_string();
    let env = |name: &str| match name {
        "LEEWARD_HOME" => Some(nowhere.clone()),
        _ if name.starts_with("LEEWARD_") => None,
        _ => env(name),
    };
    let config = config::load(&Sources { env: &env, flags: Flags::default() }).ok()?;
    Some(Config { paths: paths.clone(), ..config })
}

fn limited(mut config: Config) -> Config {
    let connect = &mut config.connect;
    let waits = [&mut connect.dns_timeout, &mut connect.timeout, &mut connect.tls_timeout];
    for (wait, limit) in waits.into_iter().zip(LIMITS) {
        *wait = (*wait).min(limit);
    }
    config
}

async fn who_serves(config: &Config) -> Serving {
    let paths = config.paths.clone();
    let serves = tokio::task::spawn_blocking(move || instance::serves(&paths)).await.unwrap_or(false);
    // Whoever looks for an instance removes the record of one that is gone; a doctor leaves it.
    let found = if serves { instance::running(config).await } else { Ok(None) };
    match found {
        Ok(Some(client)) => {
            let said = |e: ClientError| e.to_string();
            let asked = join(client.get("/_leeward/v1/status", ASKED_WITHIN), client.get("/stats", ASKED_WITHIN)).await;
            let (status, stats) = (asked.0.map_err(said), asked.1.map_err(said));
            Serving::Ours { client: Box::new(client), status, stats }
        }
        Err(e) => Serving::Unusable(e),
        Ok(None) => {
            let (left, listen) = (read_record(&config.paths), instance::reachable(config.listen));
            let port = tokio::task::spawn_blocking(move || port_holder(listen)).await;
            Serving::Nobody { left, port: port.unwrap_or_else(|e| PortHolder::Unknown(e.to_string())) }
        }
    }
}

fn port_holder(address: SocketAddr) -> PortHolder {
    match socket_owner::of_listener(address) {
        Owner::Nobody => PortHolder::Nobody,
        Owner::Own | Owner::Other(_) => PortHolder::Somebody(holder_of(address, &[])),
        Owner::Unknown(why) => PortHolder::Unknown(why),
    }
}

/// Named as the engine's counters name them.
fn upstreams(config: &Config, serving: &Serving) -> BTreeMap<String, Url> {
    let mut all = BTreeMap::from([("default".to_owned(), config.upstream.clone())]);
    if let Serving::Ours { stats: Ok(stats), .. } = serving {
        let used = stats.get("upstreams").and_then(Value::as_object).into_iter().flatten();
        let used = used.filter(|(_, counts)| counts.get("requests").and_then(Value::as_u64).is_some_and(|n| n > 0));
        let used = used.filter_map(|(name, _)| Some((name.clone(), config.upstreams.get(name)?.clone())));
        all.extend(used.take(MOST_UPSTREAMS - 1));
    }
    all
}
