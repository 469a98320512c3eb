//! `leeward env`: exports for a terminal that is already open. Only exports on standard output, since a shell runs it.

use crate::{
    args, block_on, config,
    exit::{Exit, Failure, Outcome},
    launch,
    out::{Out, say},
    progress,
};
use leeward::{
    config::Mode,
    instance::{self, Background, Client},
    wrap::{self, Request, Shell},
};

/// Runs `leeward env`.
pub(crate) fn run(args: args::Env, out: &mut Out) -> Outcome {
    let config = config::load_to_start()?;
    let shell = match args.shell {
        Some(args::Shell::Sh) => Shell::Sh,
        Some(args::Shell::Fish) => Shell::Fish,
        Some(args::Shell::Powershell) => Shell::PowerShell,
        None => Shell::of_user(leeward::config::environment("SHELL").as_deref()),
    };
    let profile = launch::profile(wrap::ANYTHING)?;
    // Nobody can see when the terminal is closed, so the instance stays.
    let background = launch::background(&config, None)?;
    let plan = block_on(async {
        let client = progress::while_waiting("starting Leeward", lasting(&background)).await?;
        let request = Request {
            profile: &profile,
            program: "".into(),
            args: Vec::new(),
            address: client.address(),
            egress: None,
            mode: Mode::BaseUrl,
            version: None,
            trust: None,
            connectors: config.connectors,
        };
        let plan = wrap::with_own(|context| wrap::plan(request, &config, context))?;
        if !plan.upstreams.is_empty() {
            wrap::make_known(client, &plan, background.clone()).await?;
        }
        Outcome::Ok(plan)
    })??;
    for warning in &plan.warnings {
        say(format!("warning: {warning}"));
    }
    // A shell that runs this at its start would say so each time; who has asked for a tunnel must know.
    if out.is_terminal() || config.mode_of(wrap::ANYTHING) != Mode::Auto {
        say("base URLs alone: a tunnel belongs to a session, which `leeward run` and `leeward wrap` have");
    }
    if out.is_terminal() {
        say(match shell {
            Shell::Sh => "to set these variables here: eval \"$(leeward env)\"",
            Shell::Fish => "to set these variables here: leeward env --shell fish | source",
            Shell::PowerShell => "to set these variables here: leeward env --shell powershell | Out-String | Invoke-Expression",
        });
    }
    for (name, value) in &plan.set {
        out.script(shell.export(name, value) + "\n")?;
    }
    Ok(Exit::Ok as i32)
}

/// An instance that will not end for lack of use. One that was about to end may miss the mark, so it is looked at again.
async fn lasting(background: &Background) -> Outcome<Client> {
    loop {
        let client = instance::running_or_start(background, None).await?;
        instance::keep_serving(&background.config.paths).map_err(|e| {
            let state = background.config.paths.state_dir.display();
            Failure::new(Exit::CannotWrite, format!("cannot write to the state folder {state}: {e}"))
        })?;
        if instance::running(&background.config).await?.is_some_and(|again| again.address() == client.address()) {
            return Ok(client);
        }
    }
}
