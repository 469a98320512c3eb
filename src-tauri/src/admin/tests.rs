//! Each own path by each method, with and without the token, with bodies and queries that it does not take.

mod cases;

use super::{Agents, MAX_BODY, OwnPaths, is_own, state::Admin, with_token, without_token};
use crate::{
    authority::Authority,
    config::{Flags, Secret, Settings},
    control::{Command, Mode, Restarted, Sessions},
    examination::{Asked, Examine, Examiner, Lines, Refusal},
    health::{Code, Tracker, unix_ms},
    network::Network,
    status::{
        self, Status,
        coverage::{Coverage, Scan},
    },
    tasks::Tasks,
    telemetry::Traffic,
    upstream::{self, UpstreamParts, Upstreams},
    window::Window,
};
use axum::body::{Body, Bytes};
use cases::{CASES, Case};
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};
use tokio::sync::{Semaphore, mpsc, watch};

/// Where every request comes.
const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8787);

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
const TOKEN: &str = "Bearer right";

/// An examination that is over at once.
struct Examined;

impl Examine for Examined {
    fn examine(&self, asked: Asked) -> Result<Lines, Refusal> {
        match asked.checks.first().map(String::as_str) {
            Some("busy") => Err(Refusal::AlreadyRuns),
            Some(other) => Err(Refusal::UnknownCheck(other.to_owned())),
            None => Ok(Box::pin(futures_util::stream::iter([serde_json::json!({ "event": "begun" })]))),
        }
    }

    fn list(&self) -> BoxFuture<'static, Result<serde_json::Value, Refusal>> {
        Box::pin(std::future::ready(Ok(serde_json::json!({ "entries": [] }))))
    }

    fn pack(&self) -> BoxFuture<'static, Result<Vec<u8>, Refusal>> {
        Box::pin(std::future::ready(Ok(b"PK".to_vec())))
    }
}

/// Own paths, and who answers their commands.
struct Fixture {
    paths: OwnPaths,
    commands: mpsc::Receiver<Command>,
    mode: watch::Sender<Mode>,
    sessions: Sessions,
    health: Tracker,
    traffic: Arc<Traffic>,
    _home: tempfile::TempDir,
}

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    async fn text(self) -> String {
        String::from_utf8(self.body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    /// Code and sentence, after a look at the rest of an error's form.
    async fn error(self) -> (String, String) {
        assert_eq!(self.header("content-type"), "application/json");
        let code = self.header("x-leeward-error").to_owned();
        let body: serde_json::Value = serde_json::from_str(&self.text().await).unwrap();
        assert_eq!(body["error"]["code"], code.as_str());
        let message = body["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.ends_with('.'), "{message}");
        (code, message)
    }
}

impl Fixture {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().display().to_string();
        let panel = home.path().join("panel");
        std::fs::create_dir_all(panel.join("assets/folder.js")).unwrap();
        std::fs::write(panel.join("index.html"), "<title>Leeward").unwrap();
        std::fs::write(panel.join("assets/index-B4x.js"), "export {};").unwrap();
        // Nobody listens on the discard port, and nobody has to.
        std::fs::write(home.path().join("config.toml"), "[upstreams]\nknown = \"http://127.0.0.1:9\"\n").unwrap();
        let env = move |name: &str| (name == "LEEWARD_HOME").then(|| folder.clone());
        let settings = Arc::new(Settings::with(env, Flags::default()));
        let (commands, commanded) = mpsc::channel(1);
        let (mode, watched) = watch::channel(Mode::Serving);
        let status = Status { phase: status::Phase::Serving, ..Status::starting() };
        let (config, health, traffic) = (Arc::new(settings.load().unwrap()), Tracker::default(), Arc::<Traffic>::default());
        let local = HERE;
        let network = watch::channel(Network::default()).1;
        let shared = upstream::Shared::new(&config, network, BTreeMap::new(), Box::new(|_| Ok(())));
        let parts = UpstreamParts {
            config: config.clone(),
            shared: Arc::new(shared),
            tasks: Tasks::new(),
            traffic: traffic.clone(),
            health: health.clone(),
        };
        let authority = Arc::new(Authority::new(config.paths.authority_dir()));
        let admin = Admin {
            config,
            local,
            mode: watched,
            health,
            traffic,
            sessions: Sessions::default(),
            commands,
            status: watch::channel(status).1,
            history: mpsc::channel(1).0,
            settings: Some(settings),
            panel: Some(panel),
            window: Some(Window::new(|| {})),
            examiner: Some(Examiner::new(Examined)),
            token: Secret::new("right".into()),
            invitations: Arc::default(),
            counters: Arc::default(),
            upstreams: Arc::new(Upstreams::new(parts, local)),
            words: |_, _| crate::status::recent::Headline::default(),
            authority,
            agents: Agents::new(Some(Scan::new(|heard| Coverage {
                at_unix_ms: heard.since_unix_ms,
                address: Some(heard.address.to_string()),
                serving: true,
                agents: Vec::new(),
                unlisted: None,
            }))),
            testing: Semaphore::new(1),
        };
        let (sessions, health, traffic) = (admin.sessions.clone(), admin.health.clone(), admin.traffic.clone());
        Self { paths: OwnPaths::new(admin), commands: commanded, mode, sessions, health, traffic, _home: home }
    }

    async fn ask(&mut self, method: &str, path: &str, authorization: &str, body: impl Into<Body>) -> Answered {
        let request = http::Request::builder().method(method).uri(path).header("authorization", authorization);
        let commands = &mut self.commands;
        let supervisor = async {
            while let Some(command) = commands.recv().await {
                match command {
                    Command::Restart { reply } => {
                        reply.send(Ok(Restarted { generation: 2, took_ms: 1, config_error: None })).unwrap();
                    }
                    Command::HandOver { reply, .. } => reply.send(Ok(())).unwrap(),
                    Command::LetGo { reply } => reply.send(()).unwrap(),
                    Command::Stop { .. } | Command::Lend { .. } => {}
                }
            }
        };
        let response = tokio::select! {
            response = self.paths.answer(HERE, request.body(body.into()).unwrap()) => response,
            () = supervisor => panic!("nobody gives commands any more"),
        };
        let (head, body) = response.into_parts();
        Answered { status: head.status, headers: head.headers, body }
    }
}

#[test]
fn every_path_has_a_case() {
    let listed: Vec<_> = without_token().into_iter().chain(with_token()).map(|(path, ..)| path).collect();
    let tested: Vec<_> = CASES.iter().map(|case| case.path).collect();
    assert_eq!(listed, tested, "the paths that there are (left) and CASES (right)");
    assert!(listed.iter().all(|path| is_own(path)));
    for path in ["/", "/live", "/livez/", "/v1/messages", "/_leeward", "/_leewardx/", "/@a/livez"] {
        assert!(!is_own(path), "{path} is an upstream's");
    }
}

#[tokio::test]
async fn each_path_answers_its_methods_and_refuses_all_others() {
    let mut engine = Fixture::new();
    for (Case { asked, takes, cached, stream, .. }, method) in CASES.iter().flat_map(|case| METHODS.map(|m| (case, m))) {
        let taken = takes.iter().find(|(name, ..)| *name == method);
        let answered = engine.ask(method, asked, TOKEN, taken.map_or("{}", |taken| taken.1)).await;
        let names: Vec<_> = takes.iter().map(|(name, ..)| *name).collect();
        let Some((.., status)) = taken else {
            assert_eq!((answered.status.as_u16(), answered.header("allow")), (405, &*names.join(", ")), "{method} {asked}");
            if method == "HEAD" {
                assert_eq!(answered.header("x-leeward-error"), "wrong-method", "{asked}");
                assert_eq!(answered.text().await, "", "{asked}");
                continue;
            }
            let seen: Vec<_> = names.into_iter().filter(|name| *name != "HEAD").collect();
            let (code, sentence) = answered.error().await;
            assert_eq!(code, "wrong-method", "{method} {asked}");
            assert_eq!(sentence, format!("This control path is for {}.", seen.join(" or ")), "{method} {asked}");
            continue;
        };
        assert_eq!(answered.status.as_u16(), *status, "{method} {asked}");
        if *status == 500 {
            // Nobody keeps a history here.
            assert_eq!((answered.header("retry-after"), answered.header("x-leeward")), ("1", ""));
            assert_eq!(answered.error().await.0, "not-done");
            continue;
        }
        assert_eq!(answered.header("cache-control"), *cached, "{method} {asked}");
        if !*stream {
            assert_eq!(answered.header("x-leeward"), env!("CARGO_PKG_VERSION"), "{method} {asked}");
            let length: usize = answered.header("content-length").parse().unwrap();
            let body = answered.text().await;
            assert_eq!(body.len(), if method == "HEAD" { 0 } else { length }, "{method} {asked}");
        }
    }
}

#[tokio::test]
async fn without_the_token_nobody_learns_what_there_is() {
    let mut engine = Fixture::new();
    let secret = with_token().into_iter().map(|(path, ..)| path);
    let none = ["/_leeward/", "/_leeward/v1", "/_leeward/v1/", "/_leeward/v1/none", "/_leeward/v1/status/", "/_leeward/uix"];
    for (path, method) in secret.chain(none).flat_map(|path| METHODS.map(|method| (path, method))) {
        for authorization in ["", "right", "bearer right", "Basic right", "Bearer wrong", "Bearer right "] {
            let answered = engine.ask(method, path, authorization, "{}").await;
            let told = (answered.status.as_u16(), answered.header("www-authenticate"), answered.header("x-leeward-error"));
            assert_eq!(told, (401, "Bearer", "control-token"), "{method} {path} {authorization:?}");
        }
        if none.contains(&path) {
            let answered = engine.ask(method, path, TOKEN, "{}").await;
            assert_eq!((answered.status.as_u16(), answered.header("x-leeward-error")), (404, "no-such-path"), "{method} {path}");
        }
    }
    for (path, methods, _) in without_token() {
        let asked = CASES.iter().find(|case| case.path == path).unwrap().asked;
        for method in methods.split(", ") {
            assert!(engine.ask(method, asked, "", "").await.status.as_u16() < 400, "{method} {path}");
        }
    }
    assert!(engine.sessions.list().is_empty());
}

#[tokio::test]
async fn a_body_is_read_to_its_limit_or_refused_with_the_reason() {
    let mut engine = Fixture::new();
    let with_body = CASES.iter().flat_map(|case| case.takes.iter().map(move |takes| (case.asked, takes)));
    let with_body: Vec<_> = with_body.filter(|(_, (_, body, _))| !body.is_empty()).collect();
    assert_eq!(with_body.len(), 9);
    for (path, (method, good, status)) in with_body {
        let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
        assert_eq!(engine.ask(method, path, TOKEN, padded(MAX_BODY)).await.status.as_u16(), *status, "{path}");
        for (body, word) in [
            (padded(MAX_BODY + 1), "The body could not be read: length limit exceeded."),
            (String::new(), "The body is not what this path takes: EOF while parsing a value at line 1 column 0."),
            ("null".into(), "The body is not what this path takes: invalid type: null, expected struct"),
            (good[1..].to_owned(), "The body is not what this path takes: "),
            (format!("{good} 1"), "The body is not what this path takes: trailing characters"),
            (good.replacen('{', r#"{"more":1,"#, 1), "unknown field `more`"),
        ] {
            let answered = engine.ask(method, path, TOKEN, body.clone()).await;
            assert_eq!(answered.status, 400, "{path} {body}");
            let (code, sentence) = answered.error().await;
            assert!(code == "bad-request" && sentence.contains(word), "{path} {body}: {sentence}");
        }
    }
    let broken = Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>(io::Error::other("the client left"))]));
    let (_, sentence) = engine.ask("POST", "/_leeward/v1/stop", TOKEN, broken).await.error().await;
    assert_eq!(sentence, "The body could not be read: the client left.");
    for (check, status, code) in [("busy", 409, "busy"), ("nonsense", 400, "bad-request")] {
        let refused = engine.ask("POST", "/_leeward/v1/doctor", TOKEN, format!(r#"{{"checks":["{check}"]}}"#)).await;
        assert_eq!((refused.status.as_u16(), refused.error().await.0.as_str()), (status, code));
    }
    let nobody = engine.ask("POST", "/_leeward/v1/warm", TOKEN, r#"{"upstream":"nobody"}"#).await;
    assert_eq!((nobody.status.as_u16(), nobody.error().await.0.as_str()), (404, "unknown-upstream"));
    let nobody = engine.ask("POST", "/_leeward/v1/test", TOKEN, r#"{"upstream":"nobody"}"#).await;
    assert_eq!((nobody.status.as_u16(), nobody.error().await.0.as_str()), (404, "unknown-upstream"));
    let refused = engine.ask("POST", "/_leeward/v1/config", TOKEN, r#"{"set":{"drain":"soon"}}"#).await;
    assert_eq!((refused.status.as_u16(), refused.header("x-leeward-error")), (422, ""));
}

#[tokio::test]
async fn a_query_with_an_unknown_word_is_refused_where_there_are_known_ones() {
    let mut engine = Fixture::new();
    for case in CASES.iter().filter(|case| !case.stream) {
        let (method, body, status) = case.takes[0];
        let path = case.asked.split('?').next().unwrap();
        let answered = engine.ask(method, &format!("{path}?color=blue"), TOKEN, body).await;
        if case.asked.contains('?') {
            assert_eq!(answered.status, 400, "{path}");
            let (code, sentence) = answered.error().await;
            assert!(code == "bad-request" && sentence.contains("unknown field `color`, expected "), "{path}: {sentence}");
        } else {
            assert_eq!(answered.status.as_u16(), status, "{path} has no use for a query");
        }
    }
}

#[tokio::test]
async fn what_stands_makes_it_unready() {
    let mut engine = Fixture::new();
    engine.health.set(Code::ListenerLost, None, "It is gone.");
    let answered = engine.ask("GET", "/readyz", "", "").await;
    assert_eq!((answered.status.as_u16(), answered.header("x-leeward")), (503, env!("CARGO_PKG_VERSION")));
    let said: serde_json::Value = serde_json::from_str(&answered.text().await).unwrap();
    assert_eq!((&said["ready"], &said["conditions"][0]["sentence"]), (&false.into(), &"It is gone.".into()));
}

#[tokio::test]
async fn nothing_but_the_panels_files_is_served_as_one() {
    let mut engine = Fixture::new();
    for name in ["assets", "assets/", "assets/none.js", "assets/folder.js", "%61ssets/index-B4x.js", "/index.html", "index.html/"]
    {
        let answered = engine.ask("GET", &format!("/_leeward/ui/{name}"), "", "").await;
        assert_eq!((answered.status.as_u16(), answered.header("x-leeward-error")), (404, "no-such-path"), "{name}");
    }
    let request = http::Request::builder().uri("/_leeward/ui/").header("range", "bytes=0-3");
    let request = request.header("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT");
    let response = engine.paths.answer(HERE, request.body(Body::empty()).unwrap()).await;
    assert_eq!((response.status().as_u16(), response.headers().contains_key("last-modified")), (200, false));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "<title>Leeward");
}

#[tokio::test]
async fn a_session_lasts_as_long_as_its_stream_and_its_generation() {
    let mut engine = Fixture::new();
    let before = unix_ms();
    let open = r#"{"agent":"cl<a>ude","pid":7}"#;
    let mut held = engine.ask("POST", "/_leeward/v1/sessions", TOKEN, open).await;
    assert_eq!(held.header("content-type"), "application/x-ndjson");
    let first = held.body.frame().await.unwrap().unwrap().into_data().unwrap();
    let since = engine.traffic.since();
    assert_eq!(first, format!("{{\"session\":0,\"since_unix_ms\":{since}}}\n"));
    let listed = engine.sessions.list();
    assert_eq!((listed.len(), listed[0].agent.as_str(), listed[0].pid), (1, "claude", 7));
    assert!(listed[0].since_unix_ms >= before);
    drop(held);
    assert!(engine.sessions.list().is_empty(), "the client has left");
    let held = engine.ask("POST", "/_leeward/v1/sessions", TOKEN, open).await;
    let events = engine.ask("GET", "/_leeward/v1/events", TOKEN, "").await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    engine.mode.send_replace(Mode::Draining);
    assert_eq!(held.text().await, format!("{{\"session\":1,\"since_unix_ms\":{since}}}\n"), "another generation serves");
    events.text().await;
    assert!(engine.sessions.list().is_empty());
}
