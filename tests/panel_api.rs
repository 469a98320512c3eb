//! The panel's API over real sockets: what passes, what changes, the config, the log, the panel's own files.

use crate::{
    home::{Home, LEEWARD, kill},
    support::{LIMIT, TestEngine, client, eventually, message},
};
use leeward::{
    config::{Flags, Settings},
    supervisor::{Engine, EngineOptions, TestHooks},
};
use scripted::{Fault, Plan, Upstream};
use serde_json::{Value, json};
use std::sync::Arc;

async fn get(engine: &TestEngine, path: &str) -> Value {
    let response = client().get(engine.url(&format!("/_leeward/v1/{path}"))).bearer_auth(engine.token()).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

async fn newest(engine: &TestEngine) -> Value {
    get(engine, "activity").await["requests"][0].clone()
}

#[tokio::test]
async fn activity_tells_of_a_requests_attempts() {
    let upstream = Upstream::plain(Plan::queue([Fault::ResetBeforeHeaders, Fault::None])).unwrap();
    let engine = TestEngine::start(&upstream);
    let request = client().post(engine.url("/v1/messages?beta=hidden")).header("user-agent", "claude-cli/2.1");
    assert_eq!(request.json(&message(false)).send().await.unwrap().status(), 200);
    eventually("the request ends", async || newest(&engine).await["phase"] == "done").await;
    let shown = newest(&engine).await;
    for (field, want) in [
        ("method", json!("POST")),
        ("path", json!("/v1/messages")),
        ("upstream", json!("default")),
        ("agent", json!("claude-cli")),
        ("model", json!("claude-test")),
        ("status", json!(200)),
        ("outcome", json!("answered")),
        ("bytes_up", json!(message(false).to_string().len())),
    ] {
        assert_eq!(shown[field], want, "{field} of {shown}");
    }
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{shown}");
    assert_eq!((&attempts[0]["cause"], &attempts[0]["connection"]), (&json!("fresh-reset"), &json!("fresh")));
    assert_eq!((&attempts[1]["cause"], &attempts[1]["replay"]), (&Value::Null, &json!(true)));
    assert!(shown["bytes_down"].as_u64() > Some(0) && shown["took_ms"].as_f64() >= shown["first_byte_ms"].as_f64(), "{shown}");
    assert!(attempts[1]["head_ms"].as_f64() >= attempts[1]["sent_ms"].as_f64(), "{shown}");
}

#[tokio::test]
async fn activity_tells_of_requests_that_were_refused_or_failed() {
    let upstream = Upstream::plain(Plan::always(Fault::GarbageStatusLine)).unwrap();
    let engine = TestEngine::start(&upstream);
    client().get(engine.url("/@nobody/x?key=hidden")).send().await.unwrap();
    let shown = newest(&engine).await;
    assert_eq!((&shown["outcome"], &shown["status"], &shown["attempts"]), (&json!("refused"), &json!(400), &json!([])));
    assert!(!shown.to_string().contains("hidden"), "{shown}");
    client().post(engine.url("/v1/files")).body("x").send().await.unwrap();
    eventually("the request ends", async || newest(&engine).await["phase"] == "done").await;
    let shown = newest(&engine).await;
    assert_eq!((&shown["outcome"], &shown["status"]), (&json!("failed"), &json!(502)), "{shown}");
    assert_eq!(shown["attempts"][0]["cause"], "not-http");
    assert_eq!(shown["model"], Value::Null);
}

/// The events of an open stream, by name.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(engine: &TestEngine) -> Self {
        let response = client().get(engine.url("/_leeward/v1/events")).bearer_auth(engine.token()).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event; `None` at the stream's end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.to_owned();
                self.text = rest.to_owned();
                if let Some((name, data)) = event.strip_prefix("event: ").and_then(|e| e.split_once("\ndata: ")) {
                    return Some((name.to_owned(), serde_json::from_str(data).unwrap()));
                }
                continue;
            }
            let chunk = tokio::time::timeout(LIMIT, self.response.chunk()).await.expect("an event in time").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn until(&mut self, wanted: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (name, data) = self.next().await.expect("the stream goes on");
            if name == wanted && fits(&data) {
                return data;
            }
        }
    }
}

#[tokio::test]
async fn events_begin_with_how_things_are_and_tell_what_changes() {
    let upstream = Upstream::plain(Plan::always(Fault::None)).unwrap();
    let engine = TestEngine::start(&upstream);
    let mut events = Events::open(&engine).await;
    let status = events.until("status", |_| true).await;
    assert_eq!(status["phase"], "serving");
    assert_eq!(events.until("stats", |_| true).await["requests"], 0);
    client().post(engine.url("/v1/messages")).json(&message(true)).send().await.unwrap().bytes().await.unwrap();
    let done = events.until("activity", |data| data["requests"][0]["phase"] == "done").await;
    assert_eq!(done["requests"].as_array().unwrap().len(), 1);
    assert_eq!(done["requests"][0]["outcome"], "answered");
    events.until("stats", |data| data["outcomes"]["answered"] == 1).await;
}

#[tokio::test]
async fn events_end_with_their_generation() {
    let upstream = Upstream::plain(Plan::always(Fault::None)).unwrap();
    let engine = TestEngine::start(&upstream);
    let mut events = Events::open(&engine).await;
    events.until("status", |_| true).await;
    let restart = client().post(engine.url("/_leeward/v1/restart")).bearer_auth(engine.token()).send().await.unwrap();
    assert_eq!(restart.status(), 200);
    while events.next().await.is_some() {}
    let mut again = Events::open(&engine).await;
    assert_eq!(again.until("status", |_| true).await["generation"], 2);
}

#[tokio::test]
async fn nothing_of_it_is_for_strangers() {
    let upstream = Upstream::plain(Plan::always(Fault::None)).unwrap();
    let engine = TestEngine::start(&upstream);
    for path in ["activity", "events", "stats", "config", "logs"] {
        let url = engine.url(&format!("/_leeward/v1/{path}"));
        assert_eq!(client().get(&url).send().await.unwrap().status(), 401, "{path}");
        assert_eq!(client().get(&url).bearer_auth("wrong").send().await.unwrap().status(), 401, "{path}");
    }
    assert_eq!(get(&engine, "stats").await["requests"], 0);
}

/// An engine whose config is a file that may be changed, with a panel to show.
fn configured(upstream: &Upstream, text: &str) -> TestEngine {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().to_owned();
    std::fs::write(folder.join("config.toml"), format!("# mine\nupstream = '{}'\n{text}", upstream.url())).unwrap();
    let panel = folder.join("panel");
    std::fs::create_dir_all(panel.join("assets")).unwrap();
    std::fs::write(panel.join("index.html"), "<!doctype html><title>Leeward</title>").unwrap();
    std::fs::write(panel.join("assets/index-B4x.js"), "export {};").unwrap();
    std::fs::write(panel.join("notes.txt"), "not for the web").unwrap();
    let env = move |name: &str| match name {
        "LEEWARD_HOME" => Some(folder.display().to_string()),
        "LEEWARD_RETRY_TOTAL" => Some("9s".into()),
        _ => None,
    };
    let flags = Flags { listen: Some("127.0.0.1:0".into()), ..Flags::default() };
    let settings = Arc::new(Settings::with(env, flags));
    let config = settings.load().unwrap();
    let hooks = TestHooks { network: Some(crate::support::silent()), ..TestHooks::default() };
    let engine = Engine::start_with(config, EngineOptions::of(settings).showing(Some(panel)), hooks).unwrap();
    TestEngine { address: engine.address(), engine, home }
}

async fn post(engine: &TestEngine, path: &str, body: Value) -> (u16, Value) {
    let request = client().post(engine.url(&format!("/_leeward/v1/{path}"))).bearer_auth(engine.token());
    let response = request.json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn key<'v>(view: &'v Value, name: &str) -> &'v Value {
    view["keys"].as_array().unwrap().iter().find(|k| k["key"] == name).unwrap()
}

fn file(engine: &TestEngine) -> String {
    std::fs::read_to_string(engine.home.path().join("config.toml")).unwrap()
}

#[tokio::test]
async fn a_saved_value_is_in_force_at_once_and_streams_go_on() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = configured(&upstream, "[limits] # sizes\nbody_bytes = '1MiB' # enough\n");
    let view = get(&engine, "config").await;
    assert_eq!(key(&view, "limits.body_bytes")["value"], "1MiB");
    assert_eq!(view["exists"], true);
    let large = async || client().post(engine.url("/v1/messages")).body(vec![b'x'; 2048]).send().await.unwrap().status();
    assert_eq!(large().await, 200);
    let mut running = client().get(engine.url("/sse/5?delay_ms=200")).send().await.unwrap();
    assert!(running.chunk().await.unwrap().is_some());
    let (status, view) = post(&engine, "config", json!({ "set": { "limits.body_bytes": "1KiB", "drain": "7m" } })).await;
    assert_eq!(status, 200, "{view}");
    assert_eq!((&key(&view, "drain")["value"], &key(&view, "drain")["from"]), (&json!("7m"), &json!("file")));
    assert_eq!(large().await, 413, "in force when the answer is there");
    assert_eq!(
        file(&engine),
        format!("# mine\nupstream = '{}'\ndrain = \"7m\"\n[limits] # sizes\nbody_bytes = \"1KiB\" # enough\n", upstream.url())
    );
    assert!(running.text().await.unwrap().matches("data:").count() >= 3, "what was streaming goes on");
    let (_, view) = post(&engine, "config", json!({ "set": { "limits.body_bytes": null } })).await;
    assert_eq!(key(&view, "limits.body_bytes")["from"], "default");
    assert_eq!(large().await, 200);
}

#[tokio::test]
async fn bad_values_are_refused_and_nothing_is_written() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = configured(&upstream, "");
    let before = file(&engine);
    for (set, wrong) in [
        (json!({ "retry.totl": "3s" }), "retry.totl"),
        (json!({ "pool.size": "many" }), "pool.size"),
        (json!({ "connect.timeout": "60s" }), "retry.total"),
        (json!({ "retry.total": "3s" }), "retry.total"),
        (json!({ "listen": "127.0.0.1:1", "drain": "1s" }), "listen"),
        (json!({ "log": "leeward=loud" }), "log"),
    ] {
        let (status, checked) = post(&engine, "config/check", json!({ "set": set })).await;
        assert_eq!((status, &checked["errors"][0]["key"]), (200, &json!(wrong)), "{checked}");
        let (status, refused) = post(&engine, "config", json!({ "set": set })).await;
        assert_eq!((status, &refused["errors"]), (422, &checked["errors"]), "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().ends_with('.'), "{refused}");
    }
    let (status, fine) =
        post(&engine, "config/check", json!({ "set": { "drain": "1s", "upstreams.x": "https://x.example" } })).await;
    assert_eq!((status, &fine), (200, &json!({ "errors": [] })));
    for body in [json!({}), json!({ "set": [] }), json!({ "set": {}, "more": 1 }), json!(null)] {
        assert_eq!(post(&engine, "config", body).await.0, 400);
    }
    let locked = get(&engine, "config").await;
    assert_eq!(key(&locked, "retry.total")["variable"], "LEEWARD_RETRY_TOTAL");
    assert_eq!(key(&locked, "listen")["from"], "flag");
    assert_eq!(file(&engine), before);
    assert_eq!(engine.health().await["generation"], 1, "nothing was restarted");
}

#[tokio::test]
async fn savers_at_the_same_time_lose_nothing() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = configured(&upstream, "");
    let save =
        async |n: u64| post(&engine, "config", json!({ "set": { format!("upstreams.n{n}"): "https://x.example" } })).await.0;
    let all = tokio::join!(save(1), save(2), save(3), save(4), save(5));
    assert_eq!(all, (200, 200, 200, 200, 200));
    let view = get(&engine, "config").await;
    let names: Vec<_> = key(&view, "upstreams")["value"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names.len(), 5, "{names:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_told_of() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = configured(&upstream, "client_token = 'hush-of-the-tests'\n");
    let path = engine.home.path().join("config.toml");
    let good = file(&engine);
    // Broken by hand: the values in force are shown, and a good value mends it.
    std::fs::write(&path, good.clone() + "drain = 'soon'\n").unwrap();
    let view = get(&engine, "config").await;
    assert!(view["problem"].as_str().unwrap().contains("`soon` is not a duration"), "{view}");
    assert_eq!(key(&view, "drain")["value"], "10m");
    assert!(!view.to_string().contains("hush"), "{view}");
    assert_eq!(post(&engine, "config", json!({ "set": { "workers": 2 } })).await.0, 422);
    assert_eq!(post(&engine, "config", json!({ "set": { "drain": "3m" } })).await.0, 200);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let (status, told) = post(&engine, "config", json!({ "set": { "drain": "1m" } })).await;
    assert_eq!((status, &told["error"]["code"]), (500, &json!("not-done")), "{told}");
    assert!(told["error"]["message"].as_str().unwrap().contains("config.toml"), "{told}");
}

#[tokio::test]
async fn an_engine_without_a_config_file_says_so() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let (status, told) = post(&engine, "config", json!({ "set": { "drain": "1m" } })).await;
    assert_eq!(status, 500);
    assert!(told["error"]["message"].as_str().unwrap().contains("without a config file"), "{told}");
}

#[tokio::test]
async fn the_panel_is_served_by_strict_rules_and_without_a_token() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = configured(&upstream, "client_token = 'hush-of-the-tests'\n");
    let no_redirects = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let ask = async |path: &str| no_redirects.get(engine.url(path)).send().await.unwrap();
    let page = ask("/_leeward/ui/").await;
    assert_eq!((page.status().as_u16(), &page.headers()["content-type"]), (200, &"text/html; charset=utf-8".parse().unwrap()));
    let rules = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(rules.starts_with("default-src 'none'; script-src 'self';") && !rules.contains("unsafe"), "{rules}");
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("cache-control", "no-cache")]
    {
        assert_eq!(page.headers()[name], value);
    }
    assert!(page.text().await.unwrap().contains("<title>Leeward"));
    let script = ask("/_leeward/ui/assets/index-B4x.js").await;
    assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
    assert!(script.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(ask("/_leeward/ui").await.headers()["location"], "/_leeward/ui/");
    for path in ["notes.txt", "assets", "assets/none.js", ".hidden.js", "..%2fconfig.toml", "a/b/c/d.js"] {
        let status = ask(&format!("/_leeward/ui/{path}")).await.status().as_u16();
        assert!(status == 404 || status == 400, "{path}: {status}");
    }
    assert_eq!(client().post(engine.url("/_leeward/ui/")).send().await.unwrap().status(), 405);
    // The page's own origin may ask control paths, and nobody else's may.
    let own = format!("http://{}", engine.address);
    let restart = async |origin: &str| {
        let request = client().post(engine.url("/_leeward/v1/restart")).bearer_auth(engine.token()).header("origin", origin);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(restart(&own).await, 200);
    assert_eq!(restart(&own.replace("127.0.0.1", "localhost")).await, 403);
    assert_eq!(restart("https://evil.example").await, 403);
    let rebound = client().get(engine.url("/_leeward/ui/")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), 421);
    assert_eq!(client().get(engine.url("/v1/models")).header("origin", own).send().await.unwrap().status(), 403);
    let bare = TestEngine::start(&upstream);
    let told = client().get(bare.url("/_leeward/ui/")).send().await.unwrap();
    assert_eq!((told.status().as_u16(), &told.headers()["x-leeward-error"]), (404, &"no-panel".parse().unwrap()));
}

/// The real program: its log is seen, and its filter follows the config without a restart of the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_seen_and_follows_its_filter() {
    let home = Home::new();
    let serving = home.serve(&[]);
    let token = std::fs::read_to_string(home.paths().token_file()).unwrap();
    let url = |path: &str| format!("http://{}/_leeward/v1/{path}", serving.address);
    let ask = async |path: &str| {
        let response = client().get(url(path)).bearer_auth(&token).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    eventually("the log tells of the start", async || ask("logs?level=info").await.1.to_string().contains("accepting")).await;
    let (_, logs) = ask("logs?lines=1").await;
    assert!(logs["path"].as_str().unwrap().ends_with("leeward.log") && logs["lines"].as_array().unwrap().len() == 1, "{logs}");
    assert_eq!(ask("logs?level=loud").await.0, 400);
    assert_eq!(ask("logs?lines=0").await.0, 400);
    assert!(!ask("logs").await.1.to_string().contains("\"debug\""));
    let save = async |filter: &str| {
        let body = json!({ "set": { "log": filter } });
        client().post(url("config")).bearer_auth(&token).json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(save("debug").await, 200);
    eventually("debug lines are written", async || {
        let (_, logs) = ask("logs").await;
        logs["lines"].as_array().unwrap().iter().any(|line| line["level"] == "debug")
    })
    .await;
    assert_eq!(save("error").await, 200);
    assert!(home.read("leeward/config.toml").contains("log = \"error\""));
}

/// `leeward panel`, by a copy of the program that is installed first without the panel's files and then with them.
#[test]
fn the_command_tells_the_panels_address() {
    let home = Home::new();
    let program = home.path("bin").join(format!("leeward-copy{}", std::env::consts::EXE_SUFFIX));
    std::fs::hard_link(LEEWARD, &program).or_else(|_| std::fs::copy(LEEWARD, &program).map(drop)).unwrap();
    let panel = || home.run(&["panel"]);
    let none = panel();
    assert!(none.code == Some(69) && none.stderr.contains("no Leeward is running"), "{none:?}");
    let mut serving = home.serve_by(home.command_of(&program, &["serve"]));
    let bare = panel();
    assert!(bare.code == Some(69) && bare.stderr.contains("panel's files are not installed"), "{bare:?}");
    kill(serving.pid(), "KILL");
    serving.ended();
    std::fs::create_dir(home.path("bin/ui")).unwrap();
    std::fs::write(home.path("bin/ui/index.html"), "<!doctype html><title>Leeward</title>").unwrap();
    let serving = home.serve_by(home.command_of(&program, &["serve"]));
    let token = std::fs::read_to_string(home.paths().token_file()).unwrap();
    let told = home.run(&["panel", "--print"]);
    assert_eq!(told.stdout, format!("http://{}/_leeward/ui/#token={token}\n", serving.address), "{told:?}");
    // Other systems have a desktop at all times: there a browser would open.
    #[cfg(target_os = "linux")]
    {
        assert_eq!(panel().stdout, told.stdout, "without a desktop");
        a_link_opens_the_panel_once(&home, serving.address, &token);
    }
    assert!(!home.read("leeward/state/logs/leeward.log").contains(&token));
    assert!(crate::home::get(serving.address, "/_leeward/ui/").unwrap().contains("<title>Leeward"));
}

/// On a desktop: what is opened names no token, and leads to the panel with it, once.
#[cfg(target_os = "linux")]
fn a_link_opens_the_panel_once(home: &Home, address: std::net::SocketAddr, token: &str) {
    home.agent("xdg-open", "echo \"$@\" > \"$OUT/opened\"");
    let on_a_desktop =
        |command: &mut std::process::Command| crate::home::Ran::from(command.env("DISPLAY", ":0").output().unwrap());
    let ran = on_a_desktop(&mut home.command(&["panel"]));
    assert!(ran.code == Some(0) && ran.stdout.is_empty() && ran.stderr.contains("opens in your browser"), "{ran:?}");
    let opened = home.read("opened");
    let path = opened.trim().strip_prefix(&format!("http://{address}")).unwrap_or_else(|| panic!("{opened}"));
    assert!(!opened.contains(token), "every user can read a command line");
    let leads = |path: &str| {
        let answer = crate::home::get(address, path).unwrap();
        assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().trim().to_owned()
    };
    assert_eq!(leads(path), format!("/_leeward/ui/#token={token}"));
    assert_eq!(leads(path), "/_leeward/ui/", "used up");
    let printed = on_a_desktop(&mut home.command(&["panel", "--print"]));
    assert!(printed.stdout.contains(token), "{printed:?}");
    home.agent("xdg-open", "exit 3");
    let failed = on_a_desktop(&mut home.command(&["panel"]));
    assert!(failed.code == Some(0) && failed.stdout.contains(token) && failed.stderr.contains("no browser"), "{failed:?}");
}

/// A request by a base URL shows no token: it is its agent's session's while there is one of that agent alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_names_its_session() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let session = async |agent: &str, pid: u32| {
        let body = json!({ "agent": agent, "pid": pid, "folder": "/home/me/project" });
        let asked = client().post(engine.url("/_leeward/v1/sessions")).bearer_auth(engine.token()).json(&body);
        asked.send().await.unwrap()
    };
    let asks = async |program: &str| {
        let asked = client().post(engine.url("/v1/messages")).header("user-agent", program).json(&message(false));
        assert_eq!(asked.send().await.unwrap().status(), 200);
        newest(&engine).await["session"].clone()
    };
    let _codex = session("codex", 7).await;
    let _claude = session("claude", 8).await;
    let listed = engine.engine.status();
    eventually("both are listed", async || listed.borrow().sessions.len() == 2).await;
    let shown: Vec<_> = listed.borrow().sessions.iter().map(|session| (session.id.clone(), session.folder.clone())).collect();
    let folder = Some("/home/me/project".to_owned());
    assert_eq!(shown, [("codex-7".into(), folder.clone()), ("claude-8".into(), folder)]);
    assert_eq!(asks("claude-cli/2.1 (external, cli)").await, "claude-8");
    assert_eq!(asks("codex_cli_rs/0.1").await, "codex-7");
    assert_eq!(asks("curl/8").await, Value::Null);
    let _second = session("claude", 9).await;
    assert_eq!(asks("claude-cli/2.1").await, Value::Null, "of which of the two nobody knows");
}
