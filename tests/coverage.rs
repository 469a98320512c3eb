//! `leeward agents` and `/_leeward/v1/agents`: real sessions with and without Leeward's variables, told apart; and no secret of
//! theirs in anything that is said. An agent is a shell that has its name and waits for a line.
#![cfg(target_os = "linux")]

use crate::home::{Home, Ran, Running, get, until};
use scripted::{Plan, Upstream};
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

/// Stands in variables, in arguments and in URLs.
const SECRET: &str = "sk-hush-4711";
/// Waits, in the shell itself.
const WAITS: [&str; 2] = ["-c", "read line"];

fn install(home: &Home, name: &str) {
    std::os::unix::fs::symlink("/bin/sh", home.path("bin").join(name)).unwrap();
}

/// A session of `agent` in the folder `work`, with these variables and a key.
fn session(home: &Home, agent: &str, variables: &[(&str, &str)]) -> Running {
    let mut command = Command::new(home.path("bin").join(agent));
    command.args(WAITS).arg(SECRET).env_clear().envs(variables.iter().copied()).env("ANTHROPIC_API_KEY", SECRET);
    Running::start(command.current_dir(home.path("work")).stdin(Stdio::piped()))
}

/// What a terminal gets, as JSON; and for a person, without a secret in either.
fn asked(home: &Home) -> (Ran, Value) {
    let command = || {
        let mut command = home.command(&["agents"]);
        command.env("PATH", home.path("bin"));
        command
    };
    let ran = Ran::from(command().arg("--json").output().unwrap());
    let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    let shown = Ran::from(command().output().unwrap());
    // Sessions of other tests come and go between the two.
    let mut sessions = json["agents"].as_array().unwrap().iter().flat_map(|one| one["running"].as_array().unwrap());
    let bypasses = sessions.any(|one| one["verdict"] == "not-protected");
    assert_eq!(ran.code, Some(i32::from(bypasses)), "{ran:?}");
    let said_first = shown.stdout.lines().next().unwrap();
    assert_eq!(shown.code, Some(i32::from(said_first.contains("bypass"))), "{shown:?}");
    for said in [&ran, &shown] {
        assert!(!format!("{said:?}").contains("hush"), "{said:?}");
        assert_eq!(said.stderr, "", "{said:?}");
    }
    (shown, json)
}

fn agent<'a>(coverage: &'a Value, name: &str) -> &'a Value {
    coverage["agents"].as_array().unwrap().iter().find(|agent| agent["name"] == name).unwrap()
}

/// The session with this process. Others may run on the machine that the test runs on.
fn running<'a>(coverage: &'a Value, name: &str, pid: u32) -> &'a Value {
    let all = agent(coverage, name)["running"].as_array().unwrap();
    all.iter().find(|one| one["pid"] == pid).unwrap_or_else(|| panic!("{pid} of {name} is not listed: {coverage:#}"))
}

#[track_caller]
fn assert_is(one: &Value, verdict: &str, by: Option<&str>, word: &str) {
    assert_eq!((one["verdict"].as_str(), one["by"].as_str()), (Some(verdict), by), "{one:#}");
    assert!(one["why"].as_str().unwrap().contains(word), "{word}: {one:#}");
}

async fn of_engine(home: &Home, at: SocketAddr) -> String {
    let token = std::fs::read_to_string(home.paths().token_file()).unwrap();
    let url = format!("http://{at}/_leeward/v1/agents");
    let response = crate::support::client().get(url).bearer_auth(token.trim()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_with_and_without_our_variables_are_told_apart_and_no_secret_is_said() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let home = Home::new();
    home.configure(&format!("upstream = '{}'", upstream.url()));
    let serving = home.serve(&[]);
    install(&home, "claude");
    install(&home, "goose");
    let (ours, gate) = (format!("http://{}", serving.address), format!("https://me:{SECRET}@gate.corp/{SECRET}?key={SECRET}"));
    let through = session(&home, "claude", &[("ANTHROPIC_BASE_URL", &ours)]);
    let past = session(&home, "claude", &[("ANTHROPIC_BASE_URL", &gate), ("HTTPS_PROXY", &gate)]);
    let plain = session(&home, "goose", &[]);
    let proxied = session(&home, "goose", &[("HTTPS_PROXY", &format!("http://leeward:{SECRET}@{}", serving.address))]);
    let message = crate::support::message(false).to_string();
    let request = crate::support::client().post(format!("{ours}/v1/messages")).header("user-agent", "claude-cli/2.1");
    assert_eq!(request.body(message).send().await.unwrap().status(), 200);

    let (shown, of_terminal) = asked(&home);
    let text = of_engine(&home, serving.address).await;
    assert!(!text.contains("hush"), "{text}");
    for coverage in [&of_terminal, &serde_json::from_str(&text).unwrap()] {
        assert_is(running(coverage, "claude", through.pid()), "protected", Some("environment"), "points at Leeward");
        assert_is(running(coverage, "claude", past.pid()), "not-protected", None, "https://gate.corp.");
        assert_is(running(coverage, "goose", plain.pid()), "not-protected", None, "without `leeward wrap`");
        assert_is(running(coverage, "goose", proxied.pid()), "not-known", None, "Its proxy is Leeward");
        let one = running(coverage, "claude", past.pid());
        assert_eq!(Path::new(one["folder"].as_str().unwrap()), home.path("work").canonicalize().unwrap());
        assert!(one["since_unix_ms"].as_u64().unwrap().abs_diff(coverage["at_unix_ms"].as_u64().unwrap()) < 300_000, "{one:#}");
        assert_eq!(agent(coverage, "claude")["verdict"], "not-protected");
        assert_eq!(agent(coverage, "claude")["last_request"]["state"], "seen", "{coverage:#}");
        assert_eq!(agent(coverage, "goose")["last_request"]["state"], "not-seen", "{coverage:#}");
        assert_eq!(coverage["serving"], true);
    }
    assert_eq!(shown.code, Some(1), "a session bypasses Leeward");
    for word in [format!("pid {}", past.pid()), "leeward wrap claude".into(), "https://gate.corp".into()] {
        assert!(shown.stdout.contains(&word), "{word}: {}", shown.stdout);
    }
    let log = std::fs::read_to_string(home.paths().log_file()).unwrap();
    assert!(!log.contains("hush"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_wrap_and_one_of_a_settings_file_are_protected() {
    let home = Home::new();
    let serving = home.serve(&[]);
    install(&home, "claude");
    install(&home, "kimi");
    let mut wrap = home.command(&["wrap", "kimi", "--mode", "tunnel", "--", WAITS[0], WAITS[1]]);
    let wrapped = Running::start(wrap.stdin(Stdio::piped()));
    until("the session is open", || !home.status()["status"]["sessions"].as_array().unwrap().is_empty());
    std::fs::create_dir_all(home.path(".claude")).unwrap();
    let settings = format!(r#"{{"env":{{"ANTHROPIC_BASE_URL":"http://{}"}}}}"#, serving.address);
    std::fs::write(home.path(".claude/settings.json"), settings).unwrap();
    let plain = session(&home, "claude", &[]);
    // The agent is started a moment after its session is open.
    let mut coverage = Value::Null;
    until("the wrapped agent runs", || {
        coverage = asked(&home).1;
        agent(&coverage, "kimi")["running"].as_array().unwrap().iter().any(|one| one["by"] == "wrap")
    });
    let kimi = agent(&coverage, "kimi");
    let words = format!("(pid {})", wrapped.pid());
    let of_wrap = kimi["running"].as_array().unwrap().iter().find(|one| one["by"] == "wrap").unwrap();
    assert_is(of_wrap, "protected", Some("wrap"), &words);
    assert_is(running(&coverage, "claude", plain.pid()), "protected", Some("settings"), "settings.json points at Leeward");
    assert_eq!((&agent(&coverage, "claude")["is_set_up"], &kimi["is_set_up"]), (&Value::Bool(true), &Value::Bool(false)));
    let by_engine: Value = serde_json::from_str(&of_engine(&home, serving.address).await).unwrap();
    assert_is(running(&by_engine, "claude", plain.pid()), "protected", Some("settings"), "settings.json points at Leeward");
}

#[test]
fn without_a_leeward_what_points_at_it_is_refused_and_said_so() {
    let home = Home::new();
    install(&home, "claude");
    let orphan = session(&home, "claude", &[("ANTHROPIC_BASE_URL", &format!("http://{}", home.address))]);
    let (shown, coverage) = asked(&home);
    assert!(get(home.address, "/livez").is_none(), "nobody serves");
    assert_is(running(&coverage, "claude", orphan.pid()), "not-protected", None, "no Leeward is running");
    assert_eq!((&coverage["serving"], shown.code), (&Value::Bool(false), Some(1)));
    assert_eq!(agent(&coverage, "claude")["last_request"]["state"], "not-known");
    assert_eq!(home.record(), None, "a look starts no Leeward");
}

#[test]
fn a_version_that_no_file_says_is_asked_for_at_a_terminal() {
    let home = Home::new();
    home.agent("goose", "echo \"$1\" > \"$OUT/asked\"; echo ' 1.9.3'");
    home.agent("kimi", "echo no version here");
    let (shown, coverage) = asked(&home);
    let found = &agent(&coverage, "goose")["installs"][0];
    assert_eq!((&found["version"], &found["of"]), (&Value::from("1.9.3"), &Value::from("PATH")), "{coverage:#}");
    assert_eq!(home.read("asked"), "--version\n", "nothing else of it is run");
    assert_eq!(agent(&coverage, "kimi")["installs"][0]["version"], Value::Null);
    assert!(shown.stdout.contains("1.9.3") && shown.stdout.contains("version not known"), "{}", shown.stdout);
    assert!(shown.stdout.contains("https://github.com/QwenLM/qwen-code"), "how to install what is not there: {}", shown.stdout);
}
