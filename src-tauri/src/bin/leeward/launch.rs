//! `leeward wrap` and `leeward run`: plan, make sure that Leeward serves, start the program, end as it ends. Where Leeward
//! cannot serve, the program is started without it.

use crate::{
    args::{self, Mode},
    block_on, config,
    exit::{Exit, Failure, Outcome},
    out::{Out, say},
    progress,
};
use leeward::{
    config::{Config, Egress},
    instance::{self, Background, ClientError, CoreLimit, Holding},
    wrap::{self, Agent, Plan, Profile, Request, Session, Shell},
};
use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// Runs `leeward wrap`.
pub(crate) fn wrap(args: args::Wrap, out: &mut Out) -> Outcome {
    if args.mode != Mode::BaseUrl {
        let mode = if args.mode == Mode::Tunnel { "tunnel" } else { "intercept" };
        return Err(Failure::new(Exit::Usage, format!("--mode {mode} is not available yet; leave it out to use base-url")));
    }
    let target = Target { profile: profile(&args.agent)?, program: None, args: args.args };
    start(&target, args.dry_run, out)
}

/// Runs `leeward run`.
pub(crate) fn run(args: args::Run, out: &mut Out) -> Outcome {
    let mut words = args.command.into_iter();
    let target = Target { profile: profile(wrap::ANYTHING)?, program: words.next(), args: words.collect() };
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

    fn plan(&self, program: PathBuf, address: SocketAddr, egress: Option<Egress>, config: &Config) -> Outcome<Plan> {
        let request = Request { profile: &self.profile, program, args: self.args.clone(), address, egress };
        wrap::with_own(|context| Ok(wrap::plan(request, config, context)?))
    }
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
    let program = target.find()?;
    if dry_run {
        let config = config::load_to_ask()?;
        config::tell(&config);
        let running = block_on(instance::running(&config))??;
        let plan = target.plan(program, running.map_or(config.listen, |client| client.address()), None, &config)?;
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
    target.plan(program.to_owned(), config.listen, None, &config)?;
    let background = background(&config, Some(instance::IDLE))?;
    let holding = Holding::open(&config.paths);
    let holding = holding.inspect_err(|why| tracing::warn!("the port will not be held: {why}")).ok();
    let work = async {
        let connected = connect_anywhere(target, program, &background, holding.as_ref());
        let (plan, session) = progress::while_waiting("starting Leeward", connected).await?;
        Ok(beside(&plan, session, holding.as_ref(), core_limit).await)
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
    program: &Path,
    background: &Background,
    holding: Option<&Holding>,
) -> Outcome<(Plan, Session)> {
    let listen = background.config.listen;
    let taken = match connect(target, program, background, holding, None).await {
        Err(failure) if failure.exit == Exit::TryAgain && listen.port() != 0 => failure,
        connected => return connected,
    };
    // An agent finds any port; the configured one is another program's, or so is the state folder's lock.
    let any = SocketAddr::new(listen.ip(), 0);
    let connected = connect(target, program, background, holding, Some(any)).await.map_err(|_| taken.clone())?;
    say(format!("{}; for this agent Leeward accepts on another port", one_line(&taken.message)));
    Ok(connected)
}

/// The agent beside its session.
async fn beside(plan: &Plan, session: Session, holding: Option<&Holding>, core_limit: &CoreLimit) -> Outcome {
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
    program: &Path,
    background: &Background,
    holding: Option<&Holding>,
    listen: Option<SocketAddr>,
) -> Outcome<(Plan, Session)> {
    let mut attempts = 0;
    loop {
        let client = instance::running_or_start(background, listen).await?;
        let egress = wrap::own_egress(&client).await;
        let plan = target.plan(program.to_owned(), client.address(), egress, &background.config)?;
        attempts += 1;
        match wrap::open(client, &plan, background.clone(), holding).await {
            Ok(session) => return Ok((plan, session)),
            Err(ClientError::NotRunning(_) | ClientError::Stranger { .. } | ClientError::Broken { .. }) if attempts < 3 => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Found a moment ago and not started: the codes a shell would give.
fn refused(plan: &Plan, why: &std::io::Error) -> Failure {
    let exit = if why.kind() == std::io::ErrorKind::NotFound { Exit::AgentNotFound } else { Exit::NotExecutable };
    Failure::new(exit, format!("cannot start {}: {why}", plan.program.display()))
}
