//! `leeward wrap` and `leeward run`: plan, make sure that Leeward serves, start the program, end as it ends. Where Leeward
//! cannot serve, the program is started without it.

use crate::{
    args, block_on, config,
    exit::{Exit, Failure, Outcome},
    out::{Out, say},
    progress,
};
use leeward::{
    config::{Config, Connectors, Egress, Mode},
    instance::{self, Background, ClientError, CoreLimit, Holding},
    wrap::{self, Agent, Chosen, Plan, Profile, Request, Session, Shell, Trust},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io::{IsTerminal, stderr, stdout},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

/// An agent says its version in a second or two; Node starts slowly.
const VERSION_WITHIN: Duration = Duration::from_secs(5);
/// A program on this machine accepts at once.
const ANSWERED_WITHIN: Duration = Duration::from_millis(500);

/// Runs `leeward wrap`.
pub(crate) fn wrap(args: args::Wrap, out: &mut Out) -> Outcome {
    let target = Target { profile: profile(&args.agent)?, program: None, args: args.args, how: args.how };
    start(&target, args.dry_run, out)
}

/// Runs `leeward run`.
pub(crate) fn run(args: args::Run, out: &mut Out) -> Outcome {
    let mut words = args.command.into_iter();
    let target = Target { profile: profile(wrap::ANYTHING)?, program: words.next(), args: words.collect(), how: args.how };
    start(&target, args.dry_run, out)
}

/// The profile of an agent.
pub(crate) fn profile(name: &str) -> Outcome<Profile> {
    let profiles =
        wrap::profiles().map_err(|e| Failure::new(Exit::ConfigInvalid, format!("the table of agents is damaged: {e}")))?;
    let missing = || Failure::new(Exit::Usage, format!("there is no agent called `{name}`; `leeward run` starts any program"));
    profiles.into_iter().find(|p| p.name == name).ok_or_else(missing)
}

struct Target {
    profile: Profile,
    /// Set for `run`; a profile knows its own.
    program: Option<OsString>,
    args: Vec<OsString>,
    how: args::How,
}

impl Target {
    /// Its executable.
    fn find(&self) -> Outcome<PathBuf> {
        wrap::with_own(|context| {
            Ok(match &self.program {
                Some(program) => wrap::find_program(program, context)?,
                None => wrap::find_agent(&self.profile, context)?,
            })
        })
    }

    fn plan(&self, way: &Way, address: SocketAddr, egress: Option<Egress>, config: &Config) -> Outcome<Plan> {
        let request = Request {
            profile: &self.profile,
            program: way.program.clone(),
            args: self.args.clone(),
            address,
            egress,
            mode: way.mode,
            version: way.version.clone(),
            trust: way.trust.clone(),
            connectors: if self.how.no_connectors { Connectors::Off } else { config.connectors },
        };
        wrap::with_own(|context| Ok(wrap::plan(request, config, context)?))
    }

    /// The mode, and what must be known for it.
    async fn way(&self, program: &Path, config: &Config, dry_run: bool) -> Outcome<Way> {
        let mut chosen = wrap::choose(&self.profile, self.how.mode, config)?;
        let mut trust = None;
        if chosen.mode == Mode::Intercept {
            trust = match dry_run {
                true => Some(Trust { authority: String::new(), bundle: wrap::bundle_to_be(config), unusable: Vec::new() }),
                false => wrap::with_own(|context| wrap::trust(&self.profile, &self.args, config, context))
                    .inspect_err(|why| {
                        chosen = Chosen { mode: Mode::Auto, instead: Some(format!("nothing is decrypted: {why}")) }
                    })
                    .ok(),
            };
        }
        if let Some(why) = chosen.instead {
            say(format!("{why}; this session uses {}", chosen.mode.name()));
        }
        let version = match wrap::needs_version(&self.profile, chosen.mode, config) {
            true => version(program).await,
            false => None,
        };
        Ok(Way { program: program.to_owned(), mode: chosen.mode, version, trust })
    }
}

/// How the program is started behind Leeward.
#[derive(Clone)]
struct Way {
    program: PathBuf,
    mode: Mode,
    version: Option<String>,
    /// What the agent must trust in intercept mode.
    trust: Option<Trust>,
}

/// A program's version as it reports it.
async fn version(program: &Path) -> Option<String> {
    let mut command = tokio::process::Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(VERSION_WITHIN, command.output()).await.ok()?.ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.') && word.len() < 40;
    said.split_whitespace().find(is_version).map(str::to_owned)
}

/// How this command starts a Leeward in the background.
pub(crate) fn background(config: &Config, exit_when_idle: Option<Duration>) -> Outcome<Background> {
    let program: PathBuf = std::env::current_exe()
        .map_err(|e| Failure::new(Exit::Unavailable, format!("cannot find the leeward program itself: {e}")))?;
    Ok(Background { program, config: config.clone(), exit_when_idle })
}

fn start(target: &Target, dry_run: bool, out: &mut Out) -> Outcome {
    let core_limit = instance::no_core_files();
    instance::hide_memory();
    let required = config::requires_wrap();
    if required {
        config::load(None)?;
    }
    if let Some(why) = target.how.mode.and_then(|mode| wrap::mode_refusal(&target.profile, mode)) {
        return Err(Failure::new(Exit::Usage, why));
    }
    let program = target.find()?;
    if dry_run {
        let config = config::load_to_ask()?;
        config::tell(&config);
        let running = block_on(instance::running(&config))??;
        let way = block_on(target.way(&program, &config, true))??;
        let plan = target.plan(&way, running.map_or(config.listen, |client| client.address()), None, &config)?;
        out.script(plan.script(Shell::of_user(leeward::config::environment("SHELL").as_deref())))?;
        return Ok(Exit::Ok as i32);
    }
    block_on(async {
        let plan = match behind(target, &program, &core_limit).await {
            Ok(ended) => return ended,
            Err(failure) if required => return Err(failure),
            Err(failure) => {
                say(format!("{}; the agent runs without Leeward", one_line(&failure.message)));
                Plan::without_leeward(&target.profile, program, target.args.clone())
            }
        };
        let agent = spawn(&plan, &core_limit)?;
        ended(agent.wait().await, &plan)
    })?
}

/// The agent's whole life behind Leeward, and how it ended. A failure of its own: nothing was started, and what failed keeps
/// nobody from being started without it.
async fn behind(target: &Target, program: &Path, core_limit: &CoreLimit) -> Outcome<Outcome> {
    let config = config::load_to_start()?;
    // Everything that can be refused without a Leeward is refused before one is started.
    let way = target.way(program, &config, false).await?;
    target.plan(&way, config.listen, None, &config)?;
    let background = background(&config, Some(instance::IDLE))?;
    let holding = Holding::open(&config.paths);
    let holding = holding.inspect_err(|why| tracing::warn!("the port will not be held: {why}")).ok();
    let work = async {
        let connected = connect_anywhere(target, &way, &background, holding.as_ref());
        let (plan, session) = progress::while_waiting("starting Leeward", connected).await?;
        Ok(beside(&plan, session, holding.as_ref(), core_limit, config.wrap.summary).await)
    };
    // From before the session to the agent's end, without a gap: who comes to the door in one would be sent away.
    let ended = match &holding {
        Some(holding) => tokio::select! {
            ended = work => ended,
            never = holding.attend() => match never {},
        },
        None => work.await,
    };
    if holding.is_some_and(|holding| holding.has_expired()) {
        let limit = instance::ACCEPTED_WITHIN.as_secs();
        say(format!("Leeward could not be started again within {limit} s, so connections were refused; `leeward logs` says why"));
    }
    ended
}

/// A session, on another port where another program has the configured one.
async fn connect_anywhere(
    target: &Target,
    way: &Way,
    background: &Background,
    holding: Option<&Holding>,
) -> Outcome<(Plan, Session)> {
    let listen = background.config.listen;
    let taken = match connect(target, way, background, holding, None).await {
        Err(failure) if failure.exit == Exit::TryAgain && listen.port() != 0 => failure,
        connected => return connected,
    };
    // An agent finds any port; the configured one is another program's, or so is the state folder's lock.
    let any = SocketAddr::new(listen.ip(), 0);
    let connected = connect(target, way, background, holding, Some(any)).await.map_err(|_| taken.clone())?;
    say(format!("{}; for this agent Leeward accepts on another port", one_line(&taken.message)));
    Ok(connected)
}

/// The agent beside its session.
async fn beside(plan: &Plan, mut session: Session, holding: Option<&Holding>, core_limit: &CoreLimit, summary: bool) -> Outcome {
    for warning in &plan.warnings {
        say(format!("warning: {warning}"));
    }
    if let Some(holding) = holding {
        Session::filled(holding).await;
    }
    session.warm(plan.warm.as_deref()).await;
    let agent = spawn(plan, core_limit)?;
    let status = tokio::select! {
        status = agent.wait() => status,
        never = session.hold(holding) => match never {},
    };
    // Whoever pipes what the agent prints reads it as a program does.
    if summary
        && stderr().is_terminal()
        && stdout().is_terminal()
        && let Some(line) = session.counted().await.and_then(|counted| counted.sentence())
    {
        say(line);
    }
    ended(status, plan)
}

fn spawn(plan: &Plan, core_limit: &CoreLimit) -> Outcome<Agent> {
    // Where it is not known, signals that are sent to the whole group come twice, and that is all.
    let leeward = std::env::current_exe().unwrap_or_default();
    wrap::spawn(plan, core_limit, &leeward).map_err(|e| refused(plan, &e))
}

fn ended(status: std::io::Result<std::process::ExitStatus>, plan: &Plan) -> Outcome {
    let status =
        status.map_err(|e| Failure::new(Exit::Unavailable, format!("cannot wait for {}: {e}", plan.program.display())))?;
    Ok(wrap::exit_code(status))
}

/// A reason of several lines in one.
fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

/// A session with an instance. One that was found a moment before it ended is replaced.
async fn connect(
    target: &Target,
    way: &Way,
    background: &Background,
    holding: Option<&Holding>,
    listen: Option<SocketAddr>,
) -> Outcome<(Plan, Session)> {
    let mut attempts = 0;
    let mut way = way.clone();
    let stated = stated_proxies(target).await;
    loop {
        let client = instance::running_or_start(background, listen).await?;
        let egress = wrap::own_egress(&client, &stated).await;
        let plan = target.plan(&way, client.address(), egress, &background.config)?;
        attempts += 1;
        match wrap::open(client, &plan, background.clone(), holding).await {
            Ok(session) => return Ok((plan, session)),
            Err(ClientError::NotRunning(_) | ClientError::Stranger { .. } | ClientError::Broken { .. }) if attempts < 3 => {}
            // An older instance knows no tunnels; one that cannot register this session's has none for it either.
            Err(ClientError::Refused { address, message, .. }) if plan.token.is_some() => {
                tracing::debug!("no tunnel: {message}");
                say(format!(
                    "the Leeward on {address} has no tunnel for this session, as one of an older version; the session uses base-url"
                ));
                (way.mode, way.trust) = (Mode::BaseUrl, None);
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// The proxies that the agent's own settings name. One on this machine that is gone is left out: it is left over from a
/// program that has ended, and nobody gets through it.
async fn stated_proxies(target: &Target) -> BTreeMap<String, String> {
    let mut stated = wrap::with_own(|context| wrap::stated_proxies(&target.profile, &target.args, context));
    let urls: BTreeSet<String> = stated.values().cloned().collect();
    for url in urls {
        let address = url.parse::<http::Uri>().ok().and_then(|url| {
            let host = url.host()?.trim_matches(['[', ']']).replace("localhost", "127.0.0.1");
            Some(SocketAddr::new(host.parse().ok()?, url.port_u16()?))
        });
        let Some(address) = address.filter(|address| address.ip().is_loopback()) else { continue };
        let refused = match tokio::time::timeout(ANSWERED_WITHIN, tokio::net::TcpStream::connect(address)).await {
            Ok(Err(e)) => e.kind() == std::io::ErrorKind::ConnectionRefused,
            Ok(Ok(_)) | Err(_) => false,
        };
        if refused {
            say(format!(
                "warning: the agent's settings name a proxy on {address} where nobody answers; this session goes without it"
            ));
            stated.retain(|_, value| *value != url);
        }
    }
    stated
}

/// Found a moment ago and not started: the codes a shell would give.
fn refused(plan: &Plan, why: &std::io::Error) -> Failure {
    let exit = if why.kind() == std::io::ErrorKind::NotFound { Exit::AgentNotFound } else { Exit::NotExecutable };
    Failure::new(exit, format!("cannot start {}: {why}", plan.program.display()))
}
