//! `leeward wrap`, `run` and `env` with real processes: agents are shell scripts that record what they see.
#![cfg(unix)]

use crate::home::{Home, LEEWARD, LIMIT, Ran, Running, get, is_ignored, kill, until, variable};
use leeward::{
    config::Config,
    instance::{Background, running_or_start},
};
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Stdio,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

/// Writes the environment and the arguments, and ends with 7.
const RECORD: &str = r#"env > "$OUT/env"; printf '%s\n' "$@" > "$OUT/args"; echo out; echo err >&2; exit 7"#;
/// Says that it runs, and runs until the file `done` appears.
const UNTIL_DONE: &str =
    r#"echo "$ANTHROPIC_BASE_URL" > "$OUT/.$$"; mv "$OUT/.$$" "$OUT/ready.$$"; while [ ! -e "$OUT/done" ]; do sleep 0.02; done"#;

fn ready(home: &Home) -> usize {
    let names = std::fs::read_dir(home.path("")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("ready.")).count()
}

fn finish(home: &Home) {
    std::fs::write(home.path("done"), "").unwrap();
}

fn address(home: &Home) -> SocketAddr {
    home.record().unwrap().address
}

fn sessions(home: &Home) -> Vec<String> {
    let status = home.status();
    let list = status["status"]["sessions"].as_array().cloned().unwrap_or_default();
    list.iter().map(|s| s["agent"].as_str().unwrap().to_owned()).collect()
}

/// A virus scanner looks at a program first that was just installed: here a script stands for it.
#[tokio::test]
async fn a_background_leeward_that_starts_late_is_waited_for() {
    let home = Home::new();
    let state = home.path("leeward");
    home.agent("late", &format!("sleep 4; LEEWARD_HOME='{}' exec '{LEEWARD}' \"$@\"", state.display()));
    let config = Config { listen: home.address, ..crate::support::config(&state, None) };
    let background = Background { program: home.path("bin").join("late"), config, exit_when_idle: Some(LIMIT) };
    let client = running_or_start(&background, None).await.unwrap();
    assert_eq!(client.address(), address(&home));
}

#[test]
fn the_agent_gets_its_environment_and_its_status_is_ours() {
    let home = Home::new();
    home.agent("claude", RECORD);
    let ran = home.run(&["wrap", "claude", "--", "-p", "two words", "", "--dry-run"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(7), "out\n", "err\n"));
    assert_eq!(home.read("args"), "-p\ntwo words\n\n--dry-run\n");
    let env = home.read("env");
    assert_eq!(variable(&env, "ANTHROPIC_BASE_URL").unwrap(), format!("http://{}", address(&home)));
    assert_eq!(variable(&env, "ENABLE_TOOL_SEARCH").unwrap(), "true");
    assert_eq!(variable(&env, "PWD").unwrap(), home.path("work").display().to_string());
    assert!(!env.contains("_API_KEY") && !env.contains("AUTH_TOKEN"), "no credential is set: {env}");
    assert!(get(address(&home), "/livez").unwrap().contains("200"), "the background instance outlives the wrap");
    assert_eq!(sessions(&home), [""; 0], "the session ended with the agent");
    // What comes after the agent's name and is not Leeward's is the agent's, and so is all after it.
    let ran = home.run(&["wrap", "claude", "-p", "two words", "", "--dry-run", "--mode"]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert_eq!(home.read("args"), "-p\ntwo words\n\n--dry-run\n--mode\n");
    let ran = home.run(&["wrap", "claude", "--dry-run", "-p", "hi"]);
    assert!(ran.code == Some(0) && ran.stdout.contains(" -p hi"), "{ran:?}");
}

#[test]
fn piping_works_as_without_wrap() {
    let home = Home::new();
    home.agent("claude", "tr a-z A-Z");
    let mut child = Running::start(home.command(&["wrap", "claude"]).stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.0.stdin.take().unwrap().write_all(b"through the pipe").unwrap();
    let mut text = String::new();
    child.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((child.ended(), text.as_str()), (Some(0), "THROUGH THE PIPE"));
}

#[test]
fn a_dry_run_starts_nothing_and_can_be_pasted() {
    let home = Home::new();
    home.agent("claude", RECORD);
    let ran = home.run(&["wrap", "claude", "--dry-run", "--", "-p", "it's"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(!home.path("env").exists() && home.record().is_none(), "nothing was started");
    assert!(ran.stdout.contains("# note: Remote Control"), "{}", ran.stdout);
    let mut sh = std::process::Command::new("sh");
    let pasted = sh.arg("-c").arg(&ran.stdout).env_clear().envs(home.environment()).output().map(Ran::from).unwrap();
    assert_eq!(pasted.code, Some(7), "{pasted:?}");
    assert_eq!(home.read("args"), "-p\nit's\n");
    assert_eq!(variable(&home.read("env"), "ANTHROPIC_BASE_URL").unwrap(), format!("http://{}", home.address));
}

#[test]
fn an_agent_that_is_not_there_is_told_before_anything_starts() {
    let home = Home::new();
    let ran = home.run(&["wrap", "kimi"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(127), ""));
    for word in ["cannot find Kimi CLI (`kimi`)", "of PATH", ".local/bin", "https://"] {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    let ran = home.run(&["run", "--", "no-such-program", "-x"]);
    assert!(ran.code == Some(127) && ran.stderr.contains("cannot find `no-such-program`"), "{ran:?}");
    assert!(home.record().is_none());
    // Executable by its permissions, and neither a program nor a script.
    home.agent("codex", "");
    std::fs::write(home.path("bin/codex"), [0x7f, 0, 1, 2]).unwrap();
    let ran = home.run(&["wrap", "codex"]);
    assert!(ran.code == Some(126) && ran.stderr.contains("cannot start") && ran.stderr.contains("codex"), "{ran:?}");
}

#[test]
fn a_base_url_that_cannot_be_used_is_told_before_anything_starts() {
    let home = Home::new();
    home.agent("claude", RECORD);
    let mut command = home.command(&["wrap", "claude"]);
    command.env("ANTHROPIC_BASE_URL", "gateway.corp").env("LEEWARD_WRAP_REQUIRE", "true");
    let ran = command.output().map(Ran::from).unwrap();
    assert!(ran.code == Some(78) && ran.stderr.contains("ANTHROPIC_BASE_URL: `gateway.corp` is not a URL"), "{ran:?}");
    assert!(home.record().is_none() && !home.path("env").exists());
}

/// What the agent does before it has asked whether its user trusts the folder goes where it goes without that file.
#[test]
fn a_cloned_repository_chooses_no_upstream_and_writes_nothing_to_the_terminal() {
    let home = Home::new();
    home.agent("claude", RECORD);
    let his = TcpListener::bind("127.0.0.1:0").unwrap();
    his.set_nonblocking(true).unwrap();
    let url = format!("http://{}", his.local_addr().unwrap());
    std::fs::create_dir_all(home.path("work/.claude")).unwrap();
    for (value, shown) in [(url.as_str(), url.as_str()), (r"\u001b]0;OWNED\u0007\u001b[2Jx", r"\u{1b}]0;OWNED\u{7}\u{1b}[2Jx")] {
        let settings = format!(r#"{{"env":{{"ANTHROPIC_BASE_URL":"{value}"}}}}"#);
        std::fs::write(home.path("work/.claude/settings.json"), settings).unwrap();
        let ran = home.run(&["wrap", "claude"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(7), "out\n"), "{ran:?}");
        assert_eq!(variable(&home.read("env"), "ANTHROPIC_BASE_URL").unwrap(), format!("http://{}", address(&home)));
        let told: Vec<&str> = ran.stderr.lines().filter(|line| line.contains(".claude/settings.json")).collect();
        assert!(told.len() == 1 && told[0].contains(shown) && told[0].contains("trust"), "{ran:?}");
        assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
    }
    assert_eq!(his.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody connects there");
    assert!(!home.path("leeward/state/session-upstreams.json").exists(), "nothing is remembered");
}

#[test]
fn a_gateway_in_the_environment_is_reached_through_leeward() {
    let home = Home::new();
    home.agent("claude", &format!("env > \"$OUT/env\"; {UNTIL_DONE}"));
    let gateway = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/anthropic/", gateway.local_addr().unwrap());
    let mut child = Running::start(home.command(&["wrap", "claude"]).env("ANTHROPIC_BASE_URL", url));
    until("the agent runs", || ready(&home) == 1);
    let base = variable(&home.read("env"), "ANTHROPIC_BASE_URL").unwrap();
    let path = base.strip_prefix(&format!("http://{}", address(&home))).unwrap().to_owned();
    assert!(path.starts_with("/@gw-"), "{base}");
    let (send, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Warmed connections may carry nothing; the one with a request is the one that matters.
        for stream in gateway.incoming().map_while(Result::ok) {
            let send = send.clone();
            std::thread::spawn(move || serve_hello(stream, &send));
        }
    });
    let answer = get(address(&home), &format!("{path}/v1/models")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    assert_eq!(heard.recv_timeout(LIMIT).unwrap(), "GET /anthropic/v1/models HTTP/1.1");
    finish(&home);
    assert_eq!(child.ended(), Some(0));
}

/// Answers one request and tells its first line.
fn serve_hello(mut stream: TcpStream, heard: &Sender<String>) {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut head = [0u8; 1024];
    let read = stream.read(&mut head).unwrap_or(0);
    if read > 0 {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").unwrap();
        heard.send(String::from_utf8_lossy(&head[..read]).lines().next().unwrap().to_owned()).unwrap();
    }
}

#[test]
fn several_wraps_at_once_share_one_instance() {
    let home = Home::new();
    home.agent("claude", UNTIL_DONE);
    let mut children: Vec<_> = (0..4).map(|_| Running::start(&mut home.command(&["wrap", "claude"]))).collect();
    until("all agents run", || ready(&home) == children.len());
    let urls: std::collections::BTreeSet<String> = std::fs::read_dir(home.path(""))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with("ready."))
        .map(|p| std::fs::read_to_string(p).unwrap().trim().to_owned())
        .collect();
    assert_eq!(urls.into_iter().collect::<Vec<_>>(), [format!("http://{}", address(&home))]);
    until("all sessions are known", || sessions(&home).len() == children.len());
    let log = home.run(&["logs"]).stdout;
    assert_eq!(log.matches("accepting generation=1").count(), 1, "one instance started: {log}");
    finish(&home);
    for child in &mut children {
        assert_eq!(child.ended(), Some(0));
    }
}

#[test]
fn a_killed_instance_comes_back_at_the_same_address() {
    let home = Home::new();
    home.agent("claude", UNTIL_DONE);
    let mut children: Vec<_> = (0..2).map(|_| Running::start(&mut home.command(&["wrap", "claude"]))).collect();
    until("the agents run", || ready(&home) == children.len());
    for round in 1..=3 {
        let before = home.record().unwrap();
        kill(before.pid, "KILL");
        let killed = Instant::now();
        until("it accepts again", || get(before.address, "/livez").is_some_and(|a| a.starts_with("HTTP/1.1 200")));
        let took = killed.elapsed();
        println!("round {round}: accepting again after {took:?}");
        // The promise is 500 ms; the bound here leaves room for a machine that is busy with other tests.
        assert!(took < Duration::from_secs(10), "{took:?}");
        until("the sessions are open again", || sessions(&home).len() == children.len());
        let after = home.record().unwrap();
        assert!(after.address == before.address && after.pid != before.pid, "{before:?} {after:?}");
    }
    finish(&home);
    for child in &mut children {
        assert_eq!(child.ended(), Some(0));
    }
}

#[test]
fn a_restart_keeps_the_session() {
    let home = Home::new();
    home.configure("drain = '50ms'");
    home.agent("claude", UNTIL_DONE);
    let serving = home.serve(&[]);
    let mut child = Running::start(&mut home.command(&["wrap", "claude"]));
    until("the agent runs", || ready(&home) == 1);
    for _ in 0..2 {
        assert_eq!(home.run(&["restart"]).code, Some(0));
        until("the session is open", || sessions(&home) == ["claude"]);
    }
    assert_eq!(home.record().unwrap().pid, serving.pid());
    finish(&home);
    assert_eq!(child.ended(), Some(0));
}

#[test]
fn an_instance_stays_while_an_agent_runs_and_ends_afterwards() {
    let home = Home::new();
    home.agent("claude", UNTIL_DONE);
    let mut serving = home.serve(&["--exit-when-idle", "1s"]);
    let mut child = Running::start(&mut home.command(&["wrap", "claude"]));
    until("the agent runs", || ready(&home) == 1);
    let since = Instant::now();
    until("longer than the limit has passed", || {
        assert!(serving.child.try_wait().unwrap().is_none(), "it ended under a running agent");
        since.elapsed() > Duration::from_millis(1500)
    });
    finish(&home);
    assert_eq!(child.ended(), Some(0));
    assert_eq!(serving.ended(), Some(0));
}

#[test]
fn signals_meant_for_the_agent_reach_it() {
    let home = Home::new();
    for (signal, number, script, code) in [
        ("TERM", 15, UNTIL_DONE.to_owned(), 143),
        ("HUP", 1, UNTIL_DONE.to_owned(), 129),
        ("TERM", 15, format!("trap 'exit 9' TERM; {UNTIL_DONE}"), 9),
        ("INT", 2, UNTIL_DONE.to_owned(), 130),
        ("QUIT", 3, UNTIL_DONE.to_owned(), 131),
        ("USR1", 10, UNTIL_DONE.to_owned(), 138),
    ] {
        // What these tests were started to ignore (`nohup`, a shell's `&`) stays ignored in the agent.
        let code = if is_ignored(number) { 0 } else { code };
        home.agent("claude", &script);
        let mut child = Running::start(&mut home.command(&["wrap", "claude"]));
        until("the agent runs", || ready(&home) == 1);
        kill(child.pid(), signal);
        if code == 0 {
            finish(&home);
        }
        assert_eq!(child.ended(), Some(code), "{signal} {script}");
        std::fs::remove_file(home.path("done")).ok();
        for entry in std::fs::read_dir(home.path("")).unwrap().map(Result::unwrap) {
            if entry.file_name().to_str().unwrap().starts_with("ready.") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}

#[test]
fn run_sets_every_variable_for_any_program() {
    let home = Home::new();
    let ran = home.run(&["run", "sh", "-c", "env; exit 3"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let base = format!("http://{}", address(&home));
    for (name, path) in [
        ("ANTHROPIC_BASE_URL", ""),
        ("OPENAI_BASE_URL", "/@openai/v1"),
        ("OPENAI_API_BASE", "/@openai/v1"),
        ("GOOGLE_GEMINI_BASE_URL", "/@gemini"),
        ("LEEWARD_BASE_URL", ""),
    ] {
        assert_eq!(variable(&ran.stdout, name), Some(format!("{base}{path}")), "{name}");
    }
    let ran = home.run(&["run", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(ran.code, Some(137));
}

#[test]
fn env_is_read_back_by_the_shell_and_its_instance_stays() {
    let home = Home::new();
    let mut sh = std::process::Command::new("sh");
    let script = format!("eval \"$('{}' env)\" && printf %s \"$OPENAI_BASE_URL\"", crate::home::LEEWARD);
    let ran = sh.arg("-c").arg(script).env_clear().envs(home.environment()).output().map(Ran::from).unwrap();
    assert_eq!((ran.stdout, ran.stderr.as_str()), (format!("http://{}/@openai/v1", address(&home)), ""));
    let fish = home.run(&["env", "--shell", "fish"]);
    assert!(fish.stdout.lines().all(|l| l.starts_with("set -gx ")), "{}", fish.stdout);
    let powershell = home.run(&["env", "--shell", "powershell"]);
    assert!(powershell.stdout.lines().all(|l| l.starts_with("$env:")), "{}", powershell.stdout);
}

#[test]
fn an_exported_address_keeps_an_idle_instance() {
    let home = Home::new();
    let mut serving = home.serve(&["--exit-when-idle", "300ms"]);
    // In time, or it has ended and env has started one that stays: either way the exported address is served.
    let ran = home.run(&["env", "--shell", "sh"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let since = Instant::now();
    until("longer than the limit has passed", || since.elapsed() > Duration::from_secs(1));
    let exported = variable(&ran.stdout.replace("export ", ""), "ANTHROPIC_BASE_URL").unwrap();
    let exported: SocketAddr = exported.strip_prefix("http://").unwrap().parse().unwrap();
    assert!(get(exported, "/livez").unwrap().contains("200"));
    serving.child.kill().unwrap();
}

#[test]
fn a_background_instance_that_cannot_start_says_why() {
    let home = Home::new();
    let holder = TcpListener::bind(home.address).unwrap();
    let ran = home.run(&["env"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(75), ""), "{ran:?}");
    assert!(ran.stderr.contains(&format!("port {} of {} is taken by", home.address.port(), home.address.ip())), "{}", ran.stderr);
    drop(holder);
}

#[test]
fn a_stale_record_sends_nobody_to_a_stranger() {
    let home = Home::new();
    home.agent("claude", RECORD);
    // Somebody sits where an instance was, and must hear nothing.
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = stranger.local_addr().unwrap();
    drop(home.serve(&[]));
    let record: Value = serde_json::json!({"pid": 1, "address": at, "version": "0", "started_unix_ms": 0});
    std::fs::write(home.paths().instance_file(), record.to_string()).unwrap();
    let ran = home.run(&["wrap", "claude"]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert_eq!(variable(&home.read("env"), "ANTHROPIC_BASE_URL").unwrap(), format!("http://{}", home.address));
    stranger.set_nonblocking(true).unwrap();
    assert_eq!(stranger.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_client_token_is_known_to_the_commands_and_handed_to_the_agent() {
    let home = Home::new();
    home.configure("client_token = 'hush-hush-hush-hush'");
    home.agent("claude", RECORD);
    let ran = home.run(&["wrap", "claude"]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert_eq!(variable(&home.read("env"), "ANTHROPIC_CUSTOM_HEADERS").unwrap(), "x-leeward-token: hush-hush-hush-hush");
    assert!(get(address(&home), "/health").unwrap().starts_with("HTTP/1.1 401"), "others must send it");
    assert_eq!(home.run(&["status"]).code, Some(0));
    assert_eq!(home.run(&["restart"]).code, Some(0));
    kill(home.record().unwrap().pid, "KILL");
}

/// Every user of the machine can read a program's arguments.
#[test]
fn a_secret_in_settings_is_handed_over_in_a_private_file_that_ends_with_the_agent() {
    let home = Home::new();
    home.configure("client_token = 'hush-hush-hush-hush'");
    let settings = r#"{"env":{"ANTHROPIC_CUSTOM_HEADERS":"x-key: his"}}"#;
    std::fs::create_dir_all(home.path(".claude")).unwrap();
    std::fs::write(home.path(".claude/settings.json"), settings).unwrap();
    home.agent("claude", &format!(r#"cat "$2" > "$OUT/settings"; ls -l "$2" > "$OUT/mode"; {UNTIL_DONE}; {RECORD}"#));
    let state = home.path("leeward/state");
    let private = || -> Vec<String> {
        let names = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("leeward-settings-")).collect()
    };
    std::fs::create_dir_all(&state).unwrap();
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(state.join("leeward-settings-left.json"), "of a wrap that was killed").unwrap();
    let mut command = home.command(&["wrap", "claude", "--", "-p", "hi"]);
    let mut wrap = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    until("the agent runs", || ready(&home) == 1);
    let given: Value = serde_json::from_str(&home.read("settings")).unwrap();
    assert_eq!(given["env"]["ANTHROPIC_CUSTOM_HEADERS"], "x-key: his\nx-leeward-token: hush-hush-hush-hush");
    assert!(home.read("mode").starts_with("-rw-------"), "{}", home.read("mode"));
    assert!(private().len() == 1 && private() != ["leeward-settings-left.json"], "{:?}", private());
    let words = std::process::Command::new("ps").args(["-ww", "-o", "args="]).arg("-p").arg(wrap.pid().to_string()).output();
    let words = words.map(Ran::from).map_or_else(|_| String::new(), |ran| ran.stdout);
    finish(&home);
    assert_eq!(wrap.ended(), Some(7));
    let args = home.read("args");
    assert!(!args.contains("hush") && !words.contains("hush") && args.ends_with("-p\nhi\n"), "{args} {words}");
    assert_eq!(private(), [""; 0], "it ends with the agent");
}
