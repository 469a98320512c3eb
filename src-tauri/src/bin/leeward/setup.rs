//! `leeward setup`: shows the library's plan, asks, has it done, and says what was done. Decides nothing of substance.

use crate::{
    args::{self, setup::ALL},
    config,
    exit::{Exit, Failure, Outcome},
    out::{Out, ask, say},
};
use leeward::{
    config::Paths,
    instance,
    setup::{self, JournalError, SetupPlan, Store},
    wrap,
};

/// Runs `leeward setup`.
pub(crate) fn run(args: &args::Setup, out: &mut Out) -> Outcome {
    if args.undo { undo(args, out) } else { set_up(args, out) }
}

fn set_up(args: &args::Setup, out: &mut Out) -> Outcome {
    let config = config::load(None)?;
    let paths = kept(&config.paths);
    let mut store = if args.dry_run { Store::look(&paths) } else { Store::open(&paths) }.map_err(unusable)?;
    let (plan, lasting) = wrap::with_own(|context| {
        let agents = if args.agent == ALL { setup::installed(context) } else { vec![args.agent.clone()] };
        (setup::plan(&agents, &config, args.replace, &store, context), setup::lasting_port(context))
    });
    let plan = plan.map_err(|why| Failure::new(Exit::ConfigInvalid, why))?;
    if plan.agents.is_empty() {
        return Err(Failure::new(Exit::AgentNotFound, "no agent that set-up knows is installed; name one to set it up anyway"));
    }
    let exit = show(&plan, "is set up already", out)?;
    if plan.changes.is_empty() {
        return Ok(exit as i32);
    }
    match lasting {
        None if args.without_service => say("nothing starts Leeward at login: agents get no answer while it doesn't run"),
        None => {
            let why = "nothing starts Leeward when you log in, and agents that are set up get no answer while it doesn't run; \
                       run `leeward service install`, or switch on *Start at login* in the tray, then set up again \
                       (--without-service sets up anyway)";
            if !args.dry_run {
                return Err(Failure::new(Exit::Unavailable, why));
            }
            say(why);
        }
        Some(_) if !instance::serves(&config.paths) => say("no Leeward runs now: start it before the agents"),
        Some(_) => {}
    }
    let exit = make(args, plan, &mut store, exit, out)?;
    if !args.dry_run {
        say(format!("agents use it when they start next; `leeward setup {} --undo` takes it out again", args.agent));
    }
    Ok(exit as i32)
}

fn undo(args: &args::Setup, out: &mut Out) -> Outcome {
    let paths = kept(&config::load_to_ask()?.paths);
    let journal = setup::read_journal(&paths).map_err(unusable)?;
    let mut agents = setup::set_up(&journal);
    agents.retain(|agent| args.agent == ALL || args.agent == *agent);
    if agents.is_empty() {
        let what = if args.agent == ALL { "nothing is".to_owned() } else { format!("{} is not", args.agent) };
        out.line(format!("{what} set up: there is nothing to undo"))?;
        return Ok(Exit::Ok as i32);
    }
    let mut store = if args.dry_run { Store::look(&paths) } else { Store::open(&paths) }.map_err(unusable)?;
    let plan = setup::plan_undo(&agents, &store);
    let exit = show(&plan, "is not set up", out)?;
    if plan.changes.is_empty() {
        return Ok(exit as i32);
    }
    let exit = make(args, plan, &mut store, exit, out)?;
    Ok(exit as i32)
}

/// What is planned, and how it ends if all of that is done.
fn show(plan: &SetupPlan, is_right: &str, out: &mut Out) -> Outcome<Exit> {
    let mut exit = Exit::Ok;
    for agent in &plan.agents {
        let name = &agent.agent;
        if let Some(why) = &agent.refused {
            exit = Exit::CannotWrite;
            say(format!("{name} is left as it is: {why}"));
        } else if !agent.changes {
            out.line(format!("{name} {is_right}"))?;
        }
        agent.warnings.iter().for_each(|warning| say(format!("{name}: warning: {warning}")));
        agent.notes.iter().filter(|_| agent.changes).for_each(|note| say(format!("{name}: {note}")));
    }
    for change in &plan.changes {
        out.script(change.diff())?;
    }
    Ok(exit)
}

/// Asks, and does it.
fn make(args: &args::Setup, plan: SetupPlan, store: &mut Store, mut exit: Exit, out: &mut Out) -> Outcome<Exit> {
    if args.dry_run {
        say("nothing was written");
        return Ok(exit);
    }
    let files = match plan.changes.len() {
        1 => "1 file".to_owned(),
        more => format!("{more} files"),
    };
    match args.yes.then_some(true).or_else(|| ask(&format!("change {files}?"))) {
        Some(true) => {}
        Some(false) => {
            say("nothing was written");
            return Ok(exit);
        }
        None => {
            let why = format!("nothing was written: {files} would change; nobody can be asked here, so add --yes");
            return Err(Failure::new(Exit::Usage, why));
        }
    }
    for change in plan.changes {
        let path = change.path.display().to_string();
        match change.apply(store) {
            Ok(()) => out.line(format!("done: {path}"))?,
            Err(refusal) => {
                exit = Exit::CannotWrite;
                say(format!("left as it is: {}", refusal.why));
            }
        }
    }
    store.tidy();
    Ok(exit)
}

/// The journal is where later commands find it, also while the state folder is in memory.
fn kept(paths: &Paths) -> Paths {
    match &paths.stands_in {
        Some(stand_in) => Paths { state_dir: stand_in.of.clone(), stands_in: None, ..paths.clone() },
        None => paths.clone(),
    }
}

fn unusable(e: JournalError) -> Failure {
    Failure::new(if matches!(e, JournalError::InUse) { Exit::TryAgain } else { Exit::CannotWrite }, e)
}
