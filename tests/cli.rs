//! The command line: what is typed, what is said, and the exit code.

use crate::home::{Home, LEEWARD, Ran, get, until, wait};
use serde_json::Value;
use std::{
    io::{BufRead, Read},
    net::TcpListener,
    process::Stdio,
};

#[test]
fn every_command_explains_itself() {
    let home = Home::new();
    for command in [
        "serve",
        "wrap",
        "run",
        "env",
        "status",
        "restart",
        "stop",
        "panel",
        "stats",
        "logs",
        "agents",
        "doctor",
        "setup",
        "service",
        "authority",
        "config",
        "demo",
        "completions",
    ] {
        let ran = home.run(&[command, "--help"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{command}");
        assert!(ran.stdout.contains("Usage: leeward"), "{command}: {}", ran.stdout);
    }
    let ran = home.run(&["--help"]);
    for word in ["Examples:", "leeward wrap claude", "Exit codes:", "127"] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
    assert_eq!(home.run(&["--version"]).stdout, format!("leeward {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_command_line_without_sense_is_refused_with_a_sentence() {
    let home = Home::new();
    for (args, word) in [
        (&[][..], "Usage"),
        (&["serv"], "serve"),
        (&["wrap"], "<AGENT>"),
        (&["wrap", "cluade"], "claude"),
        (&["setup"], "<AGENT>"),
        (&["setup", "aider"], "opencode"),
        (&["setup", "all", "--undo", "--replace"], "--undo"),
        (&["wrap", "goose", "--mode", "intercept"], "no variable that adds a certificate"),
        (&["wrap", "claude", "--mode", "magic"], "base-url"),
        (&["run"], "<COMMAND>"),
        (&["serve", "--exit-when-idle", "15"], "such as 30s, 15m or 24h"),
        (&["serve", "--exit-when-idle", "0s"], "longer than nothing"),
        (&["env", "--shell", "tcsh"], "powershell"),
        (&["completions", "tcsh"], "fish"),
        (&["logs", "-n", "many"], "many"),
        (&["config"], "schema"),
        (&["status", "now"], "now"),
    ] {
        let ran = home.run(args);
        assert_eq!(ran.code, Some(64), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(word), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
    }
}

#[test]
fn a_bad_config_is_refused_with_its_place_by_every_command_that_is_about_it() {
    let home = Home::new();
    for (text, place, word) in [
        ("lisen = 1", "config.toml:2:1", "did you mean `listen`?"),
        ("[retry]\ntotal = 7", "config.toml:3:9", "string"),
        ("upstream = 'api.anthropic.com'", "config.toml:2: upstream", "is not a URL"),
        ("workers = 0", "config.toml:2: workers", "at least 1"),
        ("= 1", "config.toml:2:1", ""),
    ] {
        home.configure(text);
        for command in [&["config", "check"][..], &["config", "show"], &["wrap", "claude"]] {
            // Which is what makes `wrap` need one.
            let ran = home.command(command).env("LEEWARD_WRAP_REQUIRE", "true").output().map(Ran::from).unwrap();
            assert_eq!(ran.code, Some(78), "{command:?} {text}: {ran:?}");
            assert!(ran.stderr.contains(place) && ran.stderr.contains(word), "{command:?} {text}: {}", ran.stderr);
        }
    }
    let ran = home.run(&["config", "path"]);
    assert_eq!(
        (ran.code, ran.stdout.trim()),
        (Some(0), home.paths().config_file.to_str().unwrap()),
        "a broken file is still found"
    );
    home.configure("");
    for (args, word) in [
        (&["serve", "--listen", "nowhere"][..], "--listen: `nowhere` is not an address"),
        (&["serve", "--upstream", "ftp://x"], "--upstream: `ftp` is not supported"),
        (&["serve", "--config", "missing.toml"], "missing.toml does not exist"),
        (&["config", "check", "missing.toml"], "missing.toml does not exist"),
    ] {
        let ran = home.run(args);
        assert_eq!(ran.code, Some(78), "{args:?}");
        assert!(ran.stderr.contains(word), "{args:?}: {}", ran.stderr);
    }
    let ran = Ran::from(home.command(&["config", "check"]).env("LEEWARD_WORKERS", "many").output().unwrap());
    assert!(ran.code == Some(78) && ran.stderr.contains("LEEWARD_WORKERS"), "{ran:?}");
}

#[test]
fn config_check_names_every_error_and_a_misspelt_variable() {
    let home = Home::new();
    home.configure("lisen = 1\nworkers = 0\n[retry]\ntotal = 7\n");
    let ran = Ran::from(home.command(&["config", "check"]).env("LEEWARD_LISEN", "x").output().unwrap());
    assert_eq!(ran.code, Some(78), "{ran:?}");
    for word in ["config.toml:2:1", "did you mean `listen`?", "config.toml:3: workers", "config.toml:5:9", "LEEWARD_LISTEN?"] {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    assert_eq!(ran.stderr.lines().count(), 4, "{}", ran.stderr);
}

/// A typo is in nobody's way: the engine serves with the last good config, says so, and every command finds it.
#[test]
fn with_a_config_that_is_refused_leeward_serves_on_the_last_good_one_and_every_command_works() {
    let home = Home::new();
    home.configure("drain = '7s'\n");
    let mut serving = home.serve(&[]);
    let good = home.paths().last_good_file();
    until("the good config is kept", || std::fs::read_to_string(&good).is_ok_and(|text| text.contains("drain")));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&good).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(home.run(&["stop"]).code, Some(0));
    serving.ended();
    home.configure("drian = '9s'\n");
    let _serving = home.serve(&[]);
    let status = home.run(&["status"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    let first = status.stdout.lines().next().unwrap();
    assert!(first.starts_with("The config is not in force: ") && first.contains("config.toml:2:1"), "{first}");
    assert!(first.contains("did you mean `drain`?"), "{first}");
    let next = status.stdout.lines().nth(1).unwrap();
    assert!(next.contains("the last one that was good") && next.contains("leeward config check"), "{next}");
    let program = home.path("bin").join(if cfg!(windows) { "claude.exe" } else { "claude" });
    std::fs::copy(LEEWARD, program).unwrap(); // nothing starts it
    for command in [&["logs"][..], &["stats"], &["restart"], &["env"], &["wrap", "--dry-run", "claude"], &["stop"]] {
        let ran = home.run(command);
        // A restart says that the file is still refused.
        assert!(ran.code == Some(if command[0] == "restart" { 78 } else { 0 }), "{command:?}: {ran:?}");
    }
}

#[test]
fn the_config_can_be_seen_checked_and_described() {
    let home = Home::new();
    let shown = home.run(&["config", "show"]).stdout;
    let table: toml::Table = shown.parse().unwrap();
    assert_eq!(table["listen"].as_str(), Some(home.address.to_string().as_str()));
    assert!(table["upstreams"]["openai"].is_str() && table["retry"]["total"].is_str());
    let template = home.run(&["config", "show", "--template"]).stdout;
    assert!(template.lines().all(|l| l.is_empty() || l.starts_with(['#', '['])), "{template}");
    std::fs::write(home.path("work/mine.toml"), &template).unwrap();
    let ran = home.run(&["config", "check", "mine.toml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "mine.toml is valid\n"));
    std::fs::remove_file(home.paths().config_file).unwrap();
    assert!(home.run(&["config", "check"]).stdout.contains("the defaults are in force"));
    let schema: Value = serde_json::from_str(&home.run(&["config", "schema"]).stdout).unwrap();
    assert!(schema["properties"]["retry"].is_object(), "{schema}");
}

#[test]
fn completions_know_the_commands_and_agents() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = home.run(&["completions", shell]);
        assert_eq!(ran.code, Some(0), "{shell}");
        assert!(ran.stdout.contains("wrap") && ran.stdout.contains("exit-when-idle"), "{shell}");
    }
    assert!(home.run(&["completions", "bash"]).stdout.contains("opencode"));
}

#[test]
fn the_manual_has_a_page_for_each_command_and_for_the_tray() {
    let home = Home::new();
    let ran = home.run(&["man", "manual"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    let page = |name: &str| std::fs::read_to_string(home.path("work/manual").join(name)).unwrap_or_default();
    let help = home.run(&["--help"]).stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
    let commands: Vec<_> = commands.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(commands.contains(&"wrap") && !commands.contains(&"man"), "{commands:?}");
    for command in commands {
        assert!(page("leeward.1").contains(&format!("leeward\\-{command}(1)")), "{command}");
        assert!(page(&format!("leeward-{command}.1")).contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(page("leeward-config-check.1").contains("78"));
    assert!(page("leeward-tray.1").contains("hidden"));
    assert_eq!(home.run(&["man", "manual/leeward.1"]).code, Some(73), "a file is no folder");
}

#[test]
fn without_an_instance_the_commands_say_so() {
    let home = Home::new();
    for command in ["status", "restart", "stats"] {
        let ran = home.run(&[command]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(69), ""), "{command}");
        assert!(
            ran.stderr.contains("no Leeward is running") && ran.stderr.contains("leeward serve"),
            "{command}: {}",
            ran.stderr
        );
    }
    let ran = home.run(&["status", "--json"]);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &answer["running"], &answer["error"]["code"]), (Some(69), &false.into(), &"not-running".into()));
    let ran = home.run(&["logs"]);
    assert!(ran.code == Some(69) && ran.stderr.contains("there is no log at"), "{ran:?}");
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let home = Home::new();
    for args in [&["config", "schema"][..], &["completions", "zsh"], &["--help"]] {
        let mut child = home.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((wait(&mut child), stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn serve_says_one_line_and_answers_the_commands() {
    let home = Home::new();
    let serving = home.serve(&[]);
    assert_eq!(home.record().unwrap().pid, serving.pid());
    assert!(get(serving.address, "/livez").unwrap().starts_with("HTTP/1.1 200"));

    let ran = home.run(&["status"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.starts_with(&format!("Ready on {}; api.anthropic.com not tried yet\n", serving.address)),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains('\x1b'), "no colours in a pipe: {:?}", ran.stdout);
    let status = home.status();
    assert_eq!((&status["running"], &status["verdict"]), (&true.into(), &"ok".into()));
    assert_eq!(status["status"]["pid"], serving.pid());

    let stats: Value = serde_json::from_str(&home.run(&["stats", "--json", "--since", "1h"]).stdout).unwrap();
    assert_eq!(stats["requests"], 0);
    assert!(home.run(&["stats"]).stdout.contains("latency ms"));
    assert_eq!(stats["buckets"], serde_json::json!([]));
    let ran = home.run(&["restart"]);
    assert!(ran.code == Some(0) && ran.stdout.starts_with("generation 2 accepts"), "{ran:?}");
    assert_eq!(home.status()["status"]["generation"], 2);
    // The log is written by a thread of its own.
    until("the log tells of it", || home.run(&["logs", "-n", "1"]).stdout.contains("generation=2"));
    assert_eq!(home.run(&["logs", "-n", "1"]).stdout.lines().count(), 1);

    let second = home.run(&["serve"]);
    assert_eq!(second.code, Some(75));
    assert!(second.stderr.contains("another Leeward is already serving") && second.stderr.contains(&serving.address.to_string()));
}

/// A GET that the upstream never answers.
#[cfg(unix)]
fn hang(home: &Home, upstream: &TcpListener, address: std::net::SocketAddr) -> std::thread::JoinHandle<Option<String>> {
    let client = std::thread::spawn(move || get(address, "/v1/models"));
    let (mut stream, _) = upstream.accept().unwrap();
    stream.read_exact(&mut [0u8; 3]).unwrap();
    until("the request is in flight", || home.status()["stats"]["in_flight"] == 1);
    // Kept open, and silent, for as long as the test's process lives.
    std::mem::forget(stream);
    client
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_after_its_requests_and_a_second_one_at_once() {
    let home = Home::new();
    let mut serving = home.serve(&[]);
    crate::home::kill(serving.pid(), "TERM");
    assert_eq!(serving.ended(), Some(0));
    let mut rest = String::new();
    serving.stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "one line is all that it says");
    assert_eq!(home.record(), None);

    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    home.configure(&format!("upstream = 'http://{}'", upstream.local_addr().unwrap()));
    let mut serving = home.serve(&[]);
    let client = hang(&home, &upstream, serving.address);
    crate::home::kill(serving.pid(), "TERM");
    until("nobody is accepted any more", || std::net::TcpStream::connect(serving.address).is_err());
    assert!(serving.child.try_wait().unwrap().is_none(), "the request in flight may finish");
    crate::home::kill(serving.pid(), "INT");
    assert_eq!(serving.ended(), Some(0));
    client.join().unwrap();
}

/// The names in a value of which docs/json.md has no word.
pub fn undocumented(value: &Value) -> Vec<String> {
    fn keys(value: &Value, found: &mut std::collections::BTreeSet<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(key, inner)| {
                found.insert(key.clone());
                keys(inner, found);
            }),
            Value::Array(list) => list.iter().for_each(|inner| keys(inner, found)),
            _ => {}
        }
    }
    let mut found = std::collections::BTreeSet::new();
    keys(value, &mut found);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md")).unwrap();
    let words: std::collections::BTreeSet<&str> =
        page.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).collect();
    found.into_iter().filter(|key| !words.contains(key.as_str())).collect()
}

#[test]
fn every_field_of_the_json_is_documented() {
    let home = Home::new();
    let nobody: Value = serde_json::from_str(&home.run(&["status", "--json"]).stdout).unwrap();
    let _serving = home.serve(&[]);
    let status = home.status();
    assert!(status["stats"]["latency_ms"].is_object() && status["status"]["listener"]["accept_errors"].is_u64(), "{status}");
    for value in [nobody, status] {
        assert_eq!(undocumented(&value), [""; 0], "docs/json.md does not say what these are");
    }
}

#[test]
fn a_config_that_broke_meanwhile_stays_out_of_force() {
    let home = Home::new();
    let _serving = home.serve(&[]);
    home.configure("workers = 0");
    let client = home.command(&["restart"]).env("LEEWARD_WORKERS", "1").output().map(Ran::from).unwrap();
    assert_eq!(client.code, Some(78), "{client:?}");
    assert!(
        client.stderr.contains("the previous config stays in force") && client.stderr.contains("workers"),
        "{}",
        client.stderr
    );
    assert!(client.stdout.starts_with("generation 2 accepts"), "{}", client.stdout);
}

#[test]
fn a_taken_port_names_its_holder() {
    let home = Home::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let ran = home.run(&["serve", "--listen", &address]);
    assert_eq!(ran.code, Some(75), "{ran:?}");
    let pid = format!("(pid {})", std::process::id());
    assert!(
        ran.stderr.contains(&format!("port {} of 127.0.0.1 is taken by", address.rsplit(':').next().unwrap()))
            && ran.stderr.contains("--listen"),
        "{}",
        ran.stderr
    );
    assert!(!cfg!(target_os = "linux") || ran.stderr.contains(&pid), "{}", ran.stderr);
}

#[test]
fn the_next_free_port_is_told() {
    let home = Home::new();
    // The last port of the range that Leeward looks through; if it cannot be bound here it is taken as well.
    let address = "127.0.0.1:8806";
    let _holder = TcpListener::bind(address);
    std::fs::write(home.paths().config_file, format!("listen = \"{address}\"")).unwrap();
    let serving = home.serve(&[]);
    assert!((8787..8806).contains(&serving.address.port()), "{}", serving.address);
    let status = home.status();
    assert_eq!(status["status"]["conditions"][0]["code"], "port-taken");
    assert_eq!(status["verdict"], "degraded");
    assert_eq!(home.run(&["status"]).code, Some(0), "degraded is not broken");
    assert_eq!(home.record().unwrap().address, serving.address);
}

#[cfg(unix)]
#[test]
fn a_token_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let serving = home.serve(&[]);
    std::fs::set_permissions(home.paths().token_file(), PermissionsExt::from_mode(0o644)).unwrap();
    let ran = home.run(&["status"]);
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert!(ran.stderr.contains("chmod 600"), "{}", ran.stderr);
    // The next start has one of its own.
    drop(serving);
    let _serving = home.serve(&[]);
    assert_eq!(std::fs::metadata(home.paths().token_file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(home.run(&["status"]).code, Some(0));
}

#[cfg(unix)]
#[test]
fn a_hangup_reads_the_config_again() {
    let home = Home::new();
    let serving = home.serve(&[]);
    crate::home::kill(serving.pid(), "HUP");
    until("generation 2 accepts", || home.status()["status"]["generation"] == 2);
}

#[test]
fn an_idle_instance_ends_by_itself() {
    let home = Home::new();
    let mut serving = home.serve(&["--exit-when-idle", "200ms"]);
    assert_eq!(serving.ended(), Some(0));
    assert_eq!(home.record(), None);
    assert!(home.run(&["logs"]).stdout.contains("nobody has used this Leeward"));
}

#[test]
fn the_log_can_be_followed() {
    let home = Home::new();
    let _serving = home.serve(&[]);
    let mut follower = home.command(&["logs", "-f", "-n", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let (send, lines) = std::sync::mpsc::channel();
    let mut stdout = std::io::BufReader::new(follower.stdout.take().unwrap());
    std::thread::spawn(move || {
        let mut line = String::new();
        while stdout.read_line(&mut line).is_ok_and(|n| n > 0) {
            send.send(std::mem::take(&mut line)).ok();
        }
    });
    // It may still be starting when the first restart is logged.
    until("a line of a restart is printed", || {
        home.run(&["restart"]);
        lines.recv_timeout(std::time::Duration::from_millis(500)).is_ok_and(|line| line.contains("generation="))
    });
    follower.kill().unwrap();
    follower.wait().unwrap();
}
