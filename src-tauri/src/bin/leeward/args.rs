//! The command line as it is typed. Says what was asked, decides nothing.

mod service;
pub(crate) mod setup;

pub(crate) use service::Service;
pub(crate) use setup::Setup;

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use leeward::{config::Mode, doctor::Check, wrap};
use std::{ffi::OsString, path::PathBuf, time::Duration};

/// The calm side of your coding agent's network.
///
/// Leeward is a local proxy between coding agents and their APIs. Its port stays open. It repairs what it safely can; if a
/// fault can't be repaired, the agent gets a clear error at once.
#[derive(Debug, Parser)]
#[command(name = "leeward", version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{FILES}\n\n{}", crate::exit::HELP))]
#[command(propagate_version = true, subcommand_required = true, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  leeward wrap claude                 start Claude Code through Leeward
  leeward wrap codex -- exec \"hello\"  arguments of the agent come after --
  leeward run -- python agent.py      any program that uses an Anthropic, OpenAI or Gemini SDK
  eval \"$(leeward env)\"               for a terminal that is already open
  leeward status --watch              what it does right now
  leeward demo                        see it work, without an account";

const FILES: &str = "\
Files:
  `leeward config path` names the config file. LEEWARD_HOME moves every file of Leeward's to one folder.
  Each key of the config has a variable: LEEWARD_RETRY_TOTAL=30s sets retry.total.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Serve),
    Wrap(Wrap),
    Run(Run),
    Env(Env),
    Status(Status),
    /// Start a new engine on the same socket; no connection is refused
    ///
    /// The config is read again. Requests in flight finish on the old engine.
    Restart,
    /// End the running Leeward, in the background or not
    ///
    /// Requests in flight may finish. Sessions of `leeward wrap` let go of the port and don't start Leeward again, so their
    /// agents are refused until somebody does.
    Stop,
    Panel(Panel),
    Stats(Stats),
    Logs(Logs),
    #[command(subcommand)]
    Config(Config),
    #[command(subcommand)]
    Authority(Authority),
    Agents(Agents),
    Doctor(Doctor),
    #[command(subcommand)]
    Service(Service),
    Setup(Setup),
    Demo(Demo),
    Completions(Completions),
    Man(Man),
    #[cfg(windows)]
    Path(SearchPath),
    /// What `wrap` starts beside an agent: says which signals reach the group
    #[cfg(unix)]
    #[command(hide = true, name = wrap::WITNESS)]
    Witness,
}

/// Open the panel in a browser
///
/// Without a desktop its address is printed. It ends with a token that gives control of Leeward, so do not share it; forward the
/// port first: `ssh -L 8787:127.0.0.1:8787 HOST`.
#[derive(Args, Debug)]
pub(crate) struct Panel {
    /// Print the address and open nothing
    #[arg(long)]
    pub(crate) print: bool,
}

/// Serve in the foreground
///
/// Prints one line with the address when it accepts. Ctrl-C or SIGTERM lets requests in flight finish, a second one
/// ends at once; SIGHUP reads the config again.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  leeward serve\n  leeward serve --listen 127.0.0.1:9000 --upstream https://gateway.example.com/anthropic"
)]
pub(crate) struct Serve {
    /// Address and port to accept on, instead of the config's; no other port is tried
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// URL of the API that requests go to when their path names no upstream
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// Read this config file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// End after this long without a wrapped agent and without requests, such as 15m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) exit_when_idle: Option<Duration>,
    /// If another Leeward serves here, wait until it ends and then serve, instead of exit code 75
    #[arg(long)]
    pub(crate) stand_by: bool,
    /// Leave the terminal and log to the file alone
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
    /// The folder in memory that stands in for the state folder
    #[arg(long, hide = true, value_name = "FOLDER")]
    pub(crate) state: Option<PathBuf>,
}

/// Start a coding agent through Leeward
///
/// Starts Leeward in the background if none runs. The terminal is the agent's; the exit code is the agent's, 128+n if
/// signal n ended it. No file of yours is written and no credential is set.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  leeward wrap claude\n  leeward wrap claude -p \"explain this repository\"\n  leeward wrap codex --dry-run"
)]
pub(crate) struct Wrap {
    /// The agent
    #[arg(value_parser = PossibleValuesParser::new(agents()))]
    pub(crate) agent: String,
    #[command(flatten)]
    pub(crate) how: How,
    /// Print what would be set and run, and start nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The window closes with the agent: keep an error to be read
    #[arg(long, hide = true)]
    pub(crate) hold: bool,
    /// Arguments for the agent; from the first one that is not Leeward's, all are the agent's
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub(crate) args: Vec<OsString>,
}

/// How a program reaches Leeward.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct How {
    /// How it reaches Leeward [default: the config's `mode`, which is auto]
    #[arg(long, value_name = "MODE", value_parser = modes())]
    pub(crate) mode: Option<Mode>,
    /// Keep Claude Code from asking for your claude.ai connectors when it starts
    #[arg(long)]
    pub(crate) no_connectors: bool,
}

fn modes() -> impl TypedValueParser<Value = Mode> {
    let shown =
        |(_, name, help): &(Mode, &'static str, &'static str)| PossibleValue::new(*name).help(help.trim().trim_end_matches('.'));
    PossibleValuesParser::new(Mode::CHOICES.iter().map(shown)).try_map(|asked| {
        let chosen = Mode::CHOICES.iter().find(|(_, name, _)| *name == asked);
        chosen.map(|(mode, ..)| *mode).ok_or("there is no such mode")
    })
}

/// Run any program through Leeward
///
/// Sets the base URLs that the public SDKs and agents read, and a proxy for all other requests. The exit code is the program's.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  leeward run python agent.py\n  leeward run -- node index.js --verbose")]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) how: How,
    /// Print what would be set and run, and start nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Print the variables for a terminal that is already open
///
/// Starts Leeward in the background if none runs; it then stays until you stop it. Only base URLs are set: a tunnel belongs to a
/// session, which `leeward wrap` and `leeward run` have.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  eval \"$(leeward env)\"\n  leeward env --shell fish | source\n  leeward env --shell powershell | Out-String | Invoke-Expression"
)]
pub(crate) struct Env {
    /// The shell to write for [default: by the variable SHELL]
    #[arg(long, value_enum)]
    pub(crate) shell: Option<Shell>,
}

/// Shells that `env` and `--dry-run` write for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// sh, bash, zsh and their like
    Sh,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
}

/// Show the listener, what is wrong, and what Leeward has repaired
///
/// Exit code 69 when no Leeward runs or agents cannot work.
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Print JSON; its form is stable, see docs/json.md
    #[arg(long)]
    pub(crate) json: bool,
    /// Show it again every second, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
}

/// Show counters and latencies since the engine started, or the history
///
/// With --since it shows the history of faults, from the running Leeward or else from its file. It is kept in steps of five
/// minutes, for 90 days unless the config says otherwise.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  leeward stats\n  leeward stats --since 7d")]
pub(crate) struct Stats {
    /// Print JSON; its form is stable, see docs/json.md
    #[arg(long)]
    pub(crate) json: bool,
    /// What happened within this time, such as 24h or 7d, earlier processes included
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) since: Option<Duration>,
}

/// Show the log
#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// Keep printing what is added, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the last lines
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) lines: usize,
}

/// Show and check the config
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print the path of the config file
    Path,
    /// Print the config in force, every key of it, as a config file
    Show {
        /// Print a config file with every key explained and nothing changed
        #[arg(long)]
        template: bool,
    },
    /// Check a config file; exit code 78 and the place when it is invalid
    Check {
        /// Another file than the one in force
        file: Option<PathBuf>,
    },
    /// Print the JSON Schema of the config file
    Schema,
}

/// Show, replace or remove the certificate authority of intercept mode
///
/// It is made when an agent is first started in intercept mode, and is trusted by such agents alone. It can sign for the hosts
/// that `show` lists and for no other.
#[derive(Debug, Subcommand)]
pub(crate) enum Authority {
    /// Print the certificate authorities that there are, and what they can sign for; exit code 69 when one cannot be used
    Show,
    /// Make another one, for agents started from now on; those that run keep the one before until they end
    Rotate,
    /// Destroy all of them and every file of theirs; agents that run in intercept mode are tunnelled without decryption
    Remove,
}

/// Show which agents this machine has and runs, and which of them come through Leeward
///
/// Looks at PATH, package managers, editors' extensions, settings files, and the processes of this user. Nothing is changed.
/// Agents whose files say no version are asked with --version. Exit code 1 if a running session bypasses Leeward.
#[derive(Args, Debug)]
pub(crate) struct Agents {
    /// Print JSON; its form is stable, see docs/json.md
    #[arg(long)]
    pub(crate) json: bool,
}

/// Find out what is wrong: this machine, the network, a proxy, the API
///
/// Measures and changes nothing. No credential of an API is sent. Everything but --long takes 20 s at most. Exit code 0 if
/// nothing wrong was measured, 1 for warnings, 2 if something is broken.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  leeward doctor\n  leeward doctor dns reach certificate\n  leeward doctor --markdown\n  leeward doctor --bundle leeward.zip"
)]
pub(crate) struct Doctor {
    /// Print JSON; its form is stable, see docs/json.md
    #[arg(long, conflicts_with = "markdown")]
    pub(crate) json: bool,
    /// Print Markdown, for a bug report
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Write a zip for a bug report, without secrets; its contents are listed first
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Also the checks that take a minute
    #[arg(long)]
    pub(crate) long: bool,
    /// Only these checks
    #[arg(value_name = "CHECK", value_parser = PossibleValuesParser::new(Check::ALL.iter().map(|check| check.id())))]
    pub(crate) checks: Vec<String>,
}

/// See it work, on this machine and without an account
///
/// Replays the two bug reports that Leeward was made for, against a faulty server of its own on loopback, without Leeward
/// and with it, and prints what happened. Nothing leaves the machine and no file of yours is touched. Exit code 2 if a
/// fault that can be repaired reached a client of Leeward.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  leeward demo\n  leeward demo --seed 7 --json")]
pub(crate) struct Demo {
    /// Print JSON; its form is stable, see docs/json.md
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw the faults from this number; the same number gives the same faults
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// A tenth of it
    #[arg(long)]
    pub(crate) quick: bool,
}

/// Print a completion script
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  leeward completions bash > ~/.local/share/bash-completion/completions/leeward\n  leeward completions zsh > ~/.zfunc/_leeward\n  leeward completions fish > ~/.config/fish/completions/leeward.fish"
)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Write the manual pages, for packages
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Man {
    /// The folder for them
    pub(crate) folder: PathBuf,
}

/// Put the folder of this program on the user's PATH, for the installer
#[cfg(windows)]
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct SearchPath {
    /// What to do
    #[arg(value_enum)]
    pub(crate) change: PathChange,
}

/// What happens to the PATH.
#[cfg(windows)]
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum PathChange {
    /// The folder is added at its end.
    Add,
    /// The folder is taken out.
    Remove,
}

fn agents() -> Vec<String> {
    let names = wrap::profiles().unwrap_or_default().into_iter().map(|p| p.name);
    names.filter(|name| name != wrap::ANYTHING).collect()
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err("it must be longer than nothing".into()),
        Err(_) => Err("write a number with a unit, such as 30s, 15m or 24h".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
        assert!(agents().contains(&"claude".to_owned()) && !agents().contains(&wrap::ANYTHING.to_owned()));
    }
}
