//! The real agents after `leeward setup`, started from a plain terminal, without `wrap`: their requests come through Leeward.
//! Their API is the scripted upstream, in a network of their own.
//!
//! `cargo xtask test` installs them and sets `LEEWARD_CLIENTS`; without it these tests say that they are skipped.
#![cfg(target_os = "linux")]

use crate::{
    agents::claude,
    apart::apart,
    home::{Home, Ran, get},
};
use scripted::{Plan, Upstream};
use serde_json::Value;
use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Limit of one start.
const LIMIT: Duration = Duration::from_secs(120);
const HOSTS: &[&str] =
    &["api.anthropic.com", "platform.claude.com", "mcp-proxy.anthropic.com", "api.openai.com", "chatgpt.com", "auth.openai.com"];

fn is_asked_for(test: &str) -> bool {
    if std::env::var_os("LEEWARD_CLIENTS").is_none() {
        let skip = format!("SKIP {test}: LEEWARD_CLIENTS is not set; `cargo xtask test` installs the agents and sets it\n");
        std::io::stderr().write_all(skip.as_bytes()).ok();
        return false;
    }
    apart(test, HOSTS)
}

/// A home with this file of the agent's own.
fn home(upstream: &Upstream, file: &str, text: &str) -> Home {
    let home = Home::new();
    fs::write(home.path("authority.pem"), upstream.authority_pem().unwrap()).unwrap();
    home.configure(&format!("extra_ca = '{}'\n", home.path("authority.pem").display()));
    fs::create_dir_all(home.path(file).parent().unwrap()).unwrap();
    fs::write(home.path(file), text).unwrap();
    home
}

/// What Leeward has carried so far.
fn carried(address: SocketAddr) -> u64 {
    let answer = get(address, "/stats").unwrap();
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    body["requests"].as_u64().unwrap_or_else(|| panic!("{body:#}"))
}

/// An agent as a plain terminal starts it.
async fn started(home: &Home, program: &Path, args: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(home.environment()).current_dir(home.path("work")).stdin(Stdio::null());
    command.env("NODE_EXTRA_CA_CERTS", home.path("authority.pem")).env("CODEX_CA_CERTIFICATE", home.path("authority.pem"));
    let mut command = tokio::process::Command::from(command);
    let output = tokio::time::timeout(LIMIT, command.kill_on_drop(true).output()).await.expect("it ends in time").unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

/// Without set-up nothing comes through Leeward, with it the request to the model does, and after undo nothing again.
async fn goes_through_leeward(agent: &str, program: &Path, args: &[&str], file: &str, text: &str) {
    let upstream = Upstream::start(SocketAddr::from(([127, 0, 0, 1], 443)), Plan::none(), true).unwrap();
    let home = home(&upstream, file, text);
    let serving = home.serve(&[]);
    let mut counts = Vec::new();
    let run = |args: &[&str]| {
        let ran: Ran = home.run(&[&["setup", agent, "--yes"], args].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
    };
    for args_of_setup in [None, Some(&["--without-service"][..]), Some(&["--undo"])] {
        if let Some(args) = args_of_setup {
            run(args);
        }
        let before = carried(serving.address);
        started(&home, program, args).await;
        counts.push(carried(serving.address) - before);
    }
    assert!(counts[0] == 0 && counts[1] > 0 && counts[2] == 0, "requests through Leeward before, with and after: {counts:?}");
    std::io::stderr().write_all(format!("{agent} after setup: {counts:?} requests through Leeward\n").as_bytes()).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claude_code_goes_through_leeward_without_wrap() {
    if is_asked_for("setup_agents::claude_code_goes_through_leeward_without_wrap") {
        let login = r#"{"claudeAiOauth":{"accessToken":"nobody","refreshToken":"nobody","expiresAt":4102444800000,
            "scopes":["user:inference","user:profile"],"subscriptionType":"max"}}"#;
        goes_through_leeward("claude", &claude("2.1.332"), &["-p", "hi"], ".claude/.credentials.json", login).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codex_goes_through_leeward_without_wrap() {
    if is_asked_for("setup_agents::codex_goes_through_leeward_without_wrap") {
        let key = r#"{"OPENAI_API_KEY": "sk-nobody"}"#;
        let args = ["exec", "--skip-git-repo-check", "hi"];
        goes_through_leeward("codex", &codex(), &args, ".codex/auth.json", key).await;
    }
}

/// The program of Codex; npm has one for each system.
fn codex() -> PathBuf {
    let machine = if cfg!(target_arch = "aarch64") { ("arm64", "aarch64") } else { ("x64", "x86_64") };
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/agents/node_modules/@openai");
    let vendor = packages.join(format!("codex-linux-{}/vendor/{}-unknown-linux-musl", machine.0, machine.1));
    let places = ["bin/codex", "codex/codex"].map(|place| vendor.join(place));
    places.iter().find(|place| place.is_file()).unwrap_or(&places[0]).clone()
}
