//! What a session's programs reach in each mode: all that they reach alone, also while Leeward is killed and comes back.
#![cfg(target_os = "linux")]

use crate::home::{Home, Ran, variable};
use scripted::{Plan, Upstream};
use std::{net::SocketAddr, process::Command};

/// Not in NO_PROXY, and this machine all the same.
const ELSEWHERE: &str = "127.0.0.2:0";
/// Program, script, and whether it uses the tunnel; each prints what it got.
const TOOLS: [(&str, &str, bool); 7] = [
    ("curl", "curl -sS -m 20 -o /dev/null -w '%{http_code}' \"$SECURE/v1/models\"", true),
    ("git", "git ls-remote \"$SECURE/none.git\" 2>&1 | grep -c proxy", true),
    (
        "python3",
        "python3 -c \"import os, urllib.request as u; print(u.urlopen(os.environ['SECURE'] + '/v1/models', timeout=20).status)\"",
        true,
    ),
    ("node", "node -e \"fetch(process.env.SECURE + '/v1/models').then(r => console.log(r.status))\"", false),
    ("curl", "curl -sS -m 20 -o /dev/null -w '%{http_code}' \"$PLAIN/v1/models\"", false),
    ("curl", "curl -sS -m 20 -o /dev/null -w '%{http_code}' \"$LOCAL/v1/models\"", false),
    (
        "python3",
        "python3 -c \"import os, urllib.request as u; print(u.urlopen(os.environ['PLAIN'] + '/v1/models').status)\"",
        false,
    ),
];

struct Servers {
    secure: Upstream,
    plain: Upstream,
    local: Upstream,
}

impl Servers {
    fn start() -> Self {
        let elsewhere: SocketAddr = ELSEWHERE.parse().unwrap();
        Self {
            secure: Upstream::start(elsewhere, Plan::none(), true).unwrap(),
            plain: Upstream::start(elsewhere, Plan::none(), false).unwrap(),
            local: Upstream::plain(Plan::none()).unwrap(),
        }
    }

    /// Tells a command where they are, and whom to trust.
    fn tell(&self, home: &Home, command: &mut Command) {
        let ca = home.path("ca.pem");
        std::fs::write(&ca, self.secure.authority_pem().unwrap()).unwrap();
        for name in ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"] {
            command.env(name, &ca);
        }
        for (name, server) in [("SECURE", &self.secure), ("PLAIN", &self.plain), ("LOCAL", &self.local)] {
            command.env(name, server.url().as_str().trim_end_matches('/'));
        }
        command.env("RECORD", home.paths().instance_file()).env("GIT_TERMINAL_PROMPT", "0");
    }
}

fn is_here(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Every tool that is here, one after another; before each one that uses the tunnel something else happens.
fn script(before: &str) -> String {
    let here = TOOLS.iter().filter(|(program, ..)| is_here(program));
    let lines = here.map(|(_, script, tunnel)| format!("{}\necho \"$({script}) $?\"", if *tunnel { before } else { "" }));
    let lines: Vec<String> = lines.collect();
    assert!(lines.len() >= 3, "curl is needed at least");
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_reach_in_every_mode_what_they_reach_alone() {
    let servers = Servers::start();
    let home = Home::new();
    let mut alone = home.command_of("sh".as_ref(), &["-c", &script("")]);
    servers.tell(&home, &mut alone);
    let alone = Ran::from(alone.output().unwrap());
    assert_eq!(alone.code, Some(0), "{alone:?}");
    // It comes back on the socket that the session holds, and a program that asks meanwhile is not refused.
    let kill = "kill -9 \"$(sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p' \"$RECORD\")\"";
    for (mode, before) in [("base-url", ""), ("auto", ""), ("tunnel", ""), ("auto", kill), ("tunnel", kill)] {
        let text = script(before);
        let mut command = home.command(&["run", "--mode", mode, "--", "sh", "-c", &text]);
        servers.tell(&home, &mut command);
        let ran = Ran::from(command.output().unwrap());
        assert_eq!((ran.code, &ran.stdout, &ran.stderr), (Some(0), &alone.stdout, &alone.stderr), "{mode} {before}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_elsewhere_comes_through_the_tunnel_and_this_machine_is_reached_directly() {
    let servers = Servers::start();
    let home = Home::new();
    let tunnels = || home.status()["stats"]["tunnels"]["opened"].as_u64().unwrap();
    let serving = home.serve(&[]);
    for (mode, script, through) in [
        ("auto", "curl -sS -m 20 \"$SECURE/v1/models\"", 1),
        ("tunnel", "curl -sS -m 20 \"$SECURE/v1/models\"", 1),
        ("base-url", "curl -sS -m 20 \"$SECURE/v1/models\"", 0),
        ("auto", "curl -sS -m 20 \"$PLAIN/v1/models\"", 0),
        ("auto", "curl -sS -m 20 \"$LOCAL/v1/models\"", 0),
        ("auto", "no_proxy=\"$no_proxy,127.0.0.2\" curl -sS -m 20 \"$SECURE/v1/models\"", 0),
    ] {
        let before = tunnels();
        let mut command = home.command(&["run", "--mode", mode, "--", "sh", "-c", &format!("{script} > /dev/null")]);
        servers.tell(&home, &mut command);
        let ran = Ran::from(command.output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{mode} {script}");
        assert_eq!(tunnels() - before, through, "{mode} {script}");
    }
    assert_eq!(home.record().unwrap().pid, serving.pid());
}

#[test]
fn a_session_says_what_it_covers_and_shows_its_token_to_its_programs_alone() {
    let home = Home::new();
    let serving = home.serve(&[]);
    let text = format!("env; '{}' status | grep session; '{}' status --json", crate::home::LEEWARD, crate::home::LEEWARD);
    let ran = home.run(&["run", "sh", "-c", &text]);
    let proxy = variable(&ran.stdout, "HTTPS_PROXY").unwrap();
    let token = proxy.strip_prefix("http://leeward:").unwrap().split('@').next().unwrap();
    assert_eq!(variable(&ran.stdout, "https_proxy").unwrap(), proxy);
    assert!(ran.stdout.contains("anything (auto: inference by base URL, the rest by tunnel; pid "), "{}", ran.stdout);
    let json = &ran.stdout[ran.stdout.find("\n{").unwrap()..];
    let status: serde_json::Value = serde_json::from_str(json).unwrap();
    let covers = &status["status"]["sessions"][0]["covers"];
    assert_eq!(*covers, serde_json::json!({ "mode": "auto", "inference": "base-url", "rest": "tunnel" }));
    assert!(!json.contains(token) && !home.run(&["logs"]).stdout.contains(token));
    let mut files = vec![home.path("leeward")];
    while let Some(path) = files.pop() {
        match std::fs::read_dir(&path) {
            Ok(entries) => files.extend(entries.map(|entry| entry.unwrap().path())),
            Err(_) => {
                let bytes = std::fs::read(&path).unwrap_or_default();
                assert!(!bytes.windows(token.len()).any(|part| part == token.as_bytes()), "{}", path.display());
            }
        }
    }
    let ended = std::process::Command::new("curl")
        .args(["-sS", "-m", "20", "-o", "/dev/null", "-w", "%{http_connect}", "-x", &proxy, "https://127.0.0.2:1"])
        .output();
    assert_eq!(String::from_utf8(ended.unwrap().stdout).unwrap(), "407", "the token ends with its session");
    drop(serving);
}

#[test]
fn a_session_inside_a_session_asks_itself_for_nothing() {
    let home = Home::new();
    let serving = home.serve(&[]);
    let leeward = crate::home::LEEWARD;
    let text = format!("echo \"OUTER=$HTTPS_PROXY\"; '{leeward}' run --mode \"$MODE\" -- env; '{leeward}' stop > /dev/null");
    for (mode, proxied) in [("auto", true), ("base-url", false)] {
        let mut command = home.command(&["run", "sh", "-c", &text]);
        let ran = Ran::from(command.env("MODE", mode).output().unwrap());
        let (outer, inner) = (variable(&ran.stdout, "OUTER").unwrap(), variable(&ran.stdout, "HTTPS_PROXY"));
        assert_eq!(inner.is_some(), proxied, "{mode}: {ran:?}");
        assert_ne!(inner, Some(outer), "{mode}");
    }
    drop(serving);
}

#[test]
fn a_mode_that_an_agent_cannot_take_is_a_mistake_on_the_command_line_and_none_in_the_config() {
    let home = Home::new();
    home.agent("aider", "env > \"$OUT/env\"");
    let ran = home.run(&["wrap", "aider", "--mode", "intercept"]);
    assert!(ran.code == Some(64) && ran.stderr.contains("it can use auto, base-url, tunnel"), "{ran:?}");
    assert!(!home.path("env").exists());
    home.configure("mode = 'intercept'");
    let ran = home.run(&["wrap", "aider"]);
    assert!(ran.code == Some(0) && ran.stderr.contains("this session uses auto"), "{ran:?}");
    assert!(variable(&home.read("env"), "HTTPS_PROXY").is_some());
    home.configure("[modes]\naider = 'base-url'");
    assert_eq!(home.run(&["wrap", "aider"]).code, Some(0));
    assert_eq!(variable(&home.read("env"), "HTTPS_PROXY"), None);
}
