//! The public clients, as they are installed, through `leeward run`: with and without faults they get the same content.
//!
//! Their own retries are off, so that whatever is retried was retried by Leeward. `cargo xtask test` installs them and
//! sets `LEEWARD_CLIENTS`; without it these tests say that they are skipped.

use crate::home::Home;
use scripted::{Fault, Plan, Upstream};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Limit of one client's run; a few seconds on a machine with nothing else to do.
const LIMIT: Duration = Duration::from_secs(180);
/// Rounds under faults; each is four or five requests.
const ROUNDS: u32 = 12;
const SEED: u64 = 1116;
/// Of connections and of reused requests.
const PERCENT: u8 = 40;

/// The line that every script prints.
#[derive(Debug, Deserialize)]
struct Verdict {
    calls: u64,
    ok: u64,
    errors: Vec<String>,
    /// A digest for each kind of call.
    contents: BTreeMap<String, String>,
}

/// Where the scripts are.
fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("clients")
}

fn node(script: &str) -> Vec<PathBuf> {
    vec!["node".into(), clients().join("node").join(script)]
}

fn bun(script: &str) -> Vec<PathBuf> {
    let folder = clients().join("node");
    vec![folder.join("node_modules").join("bun").join("bin").join("bun.exe"), folder.join(script)]
}

fn python(script: &str) -> Vec<PathBuf> {
    let python =
        std::env::var_os("LEEWARD_PYTHON").expect("`cargo xtask test` names the Python of the clients in LEEWARD_PYTHON");
    vec![python.into(), clients().join("python").join(script)]
}

/// False, and said so, when the clients are not asked for.
fn wanted(name: &str) -> bool {
    let wanted = std::env::var_os("LEEWARD_CLIENTS").is_some();
    if !wanted {
        let text =
            format!("SKIP the client {name}: LEEWARD_CLIENTS is not set; `cargo xtask test` installs the clients and sets it\n");
        // Not with a macro: those are captured unless the test fails.
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    wanted
}

async fn judge(mut command: Command) -> Verdict {
    command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    let shown = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    let ended = tokio::time::timeout(LIMIT, command.kill_on_drop(true).output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{shown} did not end within {LIMIT:?}"));
    let output = output.unwrap_or_else(|e| panic!("{shown} did not start ({e}); `cargo xtask test` installs the clients"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let verdict = out.lines().last().and_then(|line| serde_json::from_str(line).ok());
    verdict.unwrap_or_else(|| panic!("{shown} gave no verdict; `cargo xtask test` installs the clients\n{out}\n{err}"))
}

/// The client's command line, asking `base` itself.
fn direct(home: &Home, base: &str, client: &[PathBuf], rounds: u32) -> Command {
    let mut command = Command::new(&client[0]);
    command.args(&client[1..]).arg(rounds.to_string()).env_clear().envs(home.environment());
    let base = base.trim_end_matches('/');
    command.env("ANTHROPIC_BASE_URL", base).env("OPENAI_BASE_URL", format!("{base}/v1"));
    command
}

/// The same through `leeward run`, which alone tells the client where to ask.
fn sheltered(home: &Home, client: &[PathBuf], rounds: u32) -> Command {
    let mut command = home.command(&["run", "--"]);
    command.args(client).arg(rounds.to_string());
    command
}

/// Runs a client directly without faults, through Leeward without faults, and through Leeward with 40 % of them.
async fn prove(name: &str, client: impl FnOnce() -> Vec<PathBuf>) {
    if !wanted(name) {
        return;
    }
    let client = client();
    let home = Home::new();
    let plain = Upstream::plain(Plan::none()).unwrap();
    let reference = judge(direct(&home, plain.url().as_str(), &client, 1)).await;
    assert!(
        reference.errors.is_empty() && reference.ok == reference.calls && reference.calls >= 4,
        "{name} itself: {reference:?}"
    );

    let upstream = Upstream::tls(Plan::none()).unwrap();
    let authority = home.path("authority.pem");
    std::fs::write(&authority, upstream.authority_pem().unwrap()).unwrap();
    let url = upstream.url().as_str();
    home.configure(&format!("extra_ca = {authority:?}\nupstream = {url:?}\n[upstreams]\nopenai = {url:?}\n"));
    let _serving = home.serve(&[]);

    let calm = judge(sheltered(&home, &client, 2)).await;
    assert!(calm.errors.is_empty() && calm.ok == calm.calls, "{name} through Leeward: {calm:?}");
    assert_eq!(calm.contents, reference.contents, "{name} got other content through Leeward");
    let asked = upstream.log().read(|l| (l.requests.len() as u64, l.processed() as u64));
    assert_eq!(asked, (calm.calls, calm.calls), "{name}: every call reaches the upstream once");

    upstream.follow(Plan::repairable(SEED, PERCENT));
    let stormy = judge(sheltered(&home, &client, ROUNDS)).await;
    let faults = upstream.log().read(|l| l.faults());
    assert!(stormy.errors.is_empty() && stormy.ok == stormy.calls, "{name} under {faults:?}: {stormy:?}");
    assert_eq!(stormy.contents, reference.contents, "{name} got other content under faults");
    assert!(faults.values().sum::<u64>() >= 5, "too few faults struck to show anything: {faults:?}");
    let answered = upstream.log().read(|l| l.processed() as u64);
    assert_eq!(answered, calm.calls + stormy.calls, "{name}: every call is done exactly once under {faults:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anthropic_for_node() {
    prove("@anthropic-ai/sdk", || node("anthropic.mjs")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openai_for_node() {
    prove("openai (Node)", || node("openai.mjs")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anthropic_for_python() {
    prove("anthropic (Python)", || python("anthropic_client.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openai_for_python() {
    prove("openai (Python)", || python("openai_client.py")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undici() {
    prove("undici", || node("undici.mjs")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_of_node() {
    prove("Node's fetch", || node("fetch.mjs")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_of_bun() {
    prove("Bun's fetch", || bun("fetch.mjs")).await;
}

#[cfg(unix)] // its script is one for a POSIX shell
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl() {
    prove("curl", || vec!["sh".into(), clients().join("curl.sh")]).await;
}

/// Otherwise the tests above would pass with faults that nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_faults_are_seen_without_leeward() {
    if !wanted("undici without Leeward") {
        return;
    }
    let home = Home::new();
    // Bun and Node repeat a GET or a request on a dead connection by themselves; nobody repeats a POST on a fresh one.
    let upstream = Upstream::plain(Plan::seeded(SEED, PERCENT, vec![Fault::ResetAtAccept, Fault::ResetOnReuse])).unwrap();
    for (name, client) in [("undici", node("undici.mjs")), ("Bun's fetch", bun("fetch.mjs"))] {
        let verdict = judge(direct(&home, upstream.url().as_str(), &client, ROUNDS)).await;
        assert!(verdict.errors.len() >= 3, "{name} saw {verdict:?} under {:?}", upstream.log().read(|l| l.faults()));
    }
}
