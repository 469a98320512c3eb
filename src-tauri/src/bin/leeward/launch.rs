//! `leeward wrap` and `leeward run`: plan, make sure that Leeward serves, start the program, end as it ends.

use crate::{
    args::{self, Mode},
    block_on, config,
    exit::{Exit, Failure, Outcome},
    out::{Out, say},
    progress,
};
use leeward::{
    config::Config,
    instance::{self, Background, ClientError},
    wrap::{self, Plan, Profile, Request, Session, Shell},
};
use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

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
    fn plan(&self, address: SocketAddr, config: &Config) -> Outcome<Plan> {
        surrounded(|context| {
            let program = match &self.program {
                Some(program) => wrap::find_program(program, context)?,
                None => wrap::find_agent(&self.profile, context)?,
            };
            let request = Request { profile: &self.profile, program, args: self.args.clone(), address };
            Ok(wrap::plan(request, config, context)?)
        })
    }
}

/// Plans in the process's own surroundings.
pub(crate) fn surrounded<T>(plan: impl FnOnce(&wrap::AgentContext<'_>) -> Outcome<T>) -> Outcome<T> {
    wrap::with_own(plan)
        .map_err(|e| Failure::new(Exit::Unavailable, format!("the current folder is gone ({e}); change to another one")))?
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
    let config = config::load(None)?;
    if dry_run {
        let running = block_on(instance::running(&config))??;
        let plan = target.plan(running.map_or(config.listen, |client| client.address()), &config)?;
        out.script(plan.script(Shell::of_user(leeward::config::environment("SHELL").as_deref())))?;
        return Ok(Exit::Ok as i32);
    }
    // Everything that can be refused without a Leeward is refused before one is started.
    target.plan(config.listen, &config)?;
    let background = background(&config, Some(instance::IDLE))?;
    block_on(async {
        let (plan, session) = progress::while_waiting("starting Leeward", connect(target, &config, &background)).await?;
        for warning in &plan.warnings {
            say(format!("warning: {warning}"));
        }
        session.warm(plan.warm.as_deref()).await;
        let agent = wrap::spawn(&plan, &core_limit, &background.program).map_err(|e| refused(&plan, &e))?;
        let ended = tokio::select! {
            ended = agent.wait() => ended,
            never = session.hold() => match never {},
        };
        let status =
            ended.map_err(|e| Failure::new(Exit::Unavailable, format!("cannot wait for {}: {e}", plan.program.display())))?;
        Ok(wrap::exit_code(status))
    })?
}

/// A session with an instance. One that was found a moment before it ended is replaced.
async fn connect(target: &Target, config: &Config, background: &Background) -> Outcome<(Plan, Session)> {
    let mut attempts = 0;
    loop {
        let client = instance::running_or_start(background, None).await?;
        let plan = target.plan(client.address(), config)?;
        attempts += 1;
        match wrap::open(client, &plan, background.clone()).await {
            Ok(session) => return Ok((plan, session)),
            Err(ClientError::NotRunning(_) | ClientError::Broken { .. }) if attempts < 3 => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Found a moment ago and not started: the codes a shell would give.
fn refused(plan: &Plan, why: &std::io::Error) -> Failure {
    let exit = if why.kind() == std::io::ErrorKind::NotFound { Exit::AgentNotFound } else { Exit::NotExecutable };
    Failure::new(exit, format!("cannot start {}: {why}", plan.program.display()))
}
