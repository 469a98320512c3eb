//! The command line: parse, run, end with a documented exit code. Every decision of substance is the library's.

mod agents;
mod args;
mod authority;
mod browser;
mod config;
mod counters;
mod demo;
mod doctor;
mod env;
mod exit;
mod history;
mod hold;
mod launch;
mod logs;
mod man;
mod out;
mod panel;
mod progress;
#[cfg(any(windows, test))]
mod search_path;
mod serve;
mod service;
mod setup;
mod stats;
mod status;
mod stop;

/// glibc keeps what thousands of clients once took (104 MiB after 5,000 of them, where this keeps 22) and is slower.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use exit::{Exit, Failure, Outcome};
use out::Out;
use std::future::Future;

#[expect(clippy::disallowed_methods, reason = "an agent's exit code on Windows has 32 bits; by now every guard is dropped")]
fn main() {
    let code = match Cli::try_parse() {
        Ok(cli) => run(cli.command).unwrap_or_else(|failure| {
            if !failure.message.is_empty() {
                out::say(&failure.message);
            }
            failure.exit as i32
        }),
        Err(e) => {
            // Help and version are what was asked for. That nobody reads them changes nothing.
            e.print().ok();
            if e.use_stderr() { Exit::Usage as i32 } else { Exit::Ok as i32 }
        }
    };
    std::process::exit(code);
}

fn run(command: Command) -> Outcome {
    #[cfg(unix)]
    if let Some(ended) = as_init(&command) {
        return ended;
    }
    let mut out = Out::stdout();
    match command {
        Command::Serve(args) => serve::run(args, &mut out),
        Command::Wrap(args) if args.hold => hold::at_an_error(&args.agent.clone(), || launch::wrap(args, &mut out)),
        Command::Wrap(args) => launch::wrap(args, &mut out),
        Command::Run(args) => launch::run(args, &mut out),
        Command::Env(args) => env::run(args, &mut out),
        Command::Status(args) => status::run(&args, &mut out),
        Command::Restart => restart(&mut out),
        Command::Stop => stop::run(&mut out),
        Command::Panel(args) => panel::run(&args, &mut out),
        Command::Stats(args) => stats::run(&args, &mut out),
        Command::Logs(args) => logs::run(&args, &mut out),
        Command::Config(args) => config::run(args, &mut out),
        Command::Authority(asked) => authority::run(&asked, &mut out),
        Command::Agents(args) => agents::run(&args, &mut out),
        Command::Doctor(args) => doctor::run(&args, &mut out),
        Command::Service(asked) => service::run(asked, &mut out),
        Command::Setup(args) => setup::run(&args, &mut out),
        Command::Demo(args) => demo::run(&args, &mut out),
        Command::Completions(args) => completions(&args, &mut out),
        Command::Man(args) => man::run(&args),
        #[cfg(windows)]
        Command::Path(args) => search_path::run(&args),
        #[cfg(unix)]
        Command::Witness => Ok(leeward::wrap::bear_witness().map(|()| Exit::Ok as i32)?),
    }
}

/// The whole life of a container's first process, if this is one, beside the process that does what was asked. Where that one
/// cannot be started, it is done here.
#[cfg(unix)]
fn as_init(command: &Command) -> Option<Outcome> {
    use leeward::{instance, wrap};
    if !wrap::is_init() || !matches!(command, Command::Serve(_) | Command::Wrap(_) | Command::Run(_)) {
        return None;
    }
    instance::hide_memory();
    let unwaited = |e| Failure::new(Exit::Unavailable, format!("cannot wait for the process that serves: {e}"));
    let ended = block_on(async {
        let started = std::env::current_exe().and_then(|leeward| wrap::Init::start(&leeward, std::env::args_os().skip(1)));
        match started {
            Ok(init) => Some(init.wait().await.map(wrap::exit_code).map_err(unwaited)),
            Err(e) => {
                out::say(format!("orphans will stay as zombies: cannot start a process to serve beside this one: {e}"));
                None
            }
        }
    });
    ended.unwrap_or_else(|failure| Some(Err(failure)))
}

fn restart(out: &mut Out) -> Outcome {
    let config = config::load_to_ask()?;
    let restarted = block_on(progress::while_waiting("restarting", async {
        match leeward::instance::running(&config).await? {
            Some(client) => client.restart().await,
            None => Err(leeward::instance::ClientError::NotRunning(None)),
        }
    }))??;
    out.line(format!("generation {} accepts, {} ms after it was asked for", restarted.generation, restarted.took_ms))?;
    match restarted.config_error {
        None => Ok(Exit::Ok as i32),
        Some(error) => Err(Failure::new(Exit::ConfigInvalid, format!("the previous config stays in force: {error}"))),
    }
}

fn completions(args: &args::Completions, out: &mut Out) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "leeward", &mut script);
    out.script(script)?;
    Ok(Exit::Ok as i32)
}

/// One thread is enough for a command that talks to one instance and waits for one child.
fn block_on<T>(work: impl Future<Output = T>) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(|e| Failure::new(Exit::Unavailable, format!("cannot start: {e}")))?.block_on(work))
}
