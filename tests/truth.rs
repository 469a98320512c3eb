//! What people are told (design section 11): each situation is staged over real sockets, and what is read in the four places is
//! checked: the panel's headline and the tray's tooltip from the engine's own `/status`, the first line of `leeward status`, and
//! the error that the agent shows.

use crate::{
    home::{Home, LEEWARD, Serving},
    permanent::dated,
    support::{
        LIMIT, client,
        company::{Company, WriteOutcome},
        config, eventually, message, raw, silent,
    },
};
use leeward::{
    config::{CompanyProxy, Config, ProxyChoice},
    control::Command as Engines,
    health::unix_ms,
    instance::{Lock, Record, write_record},
    status::{Phase, Status, recent::Headline},
    supervisor::{Engine, EngineOptions, TestHooks},
    view::{self, Level},
};
use scripted::{Fault, Plan, Upstream};
use std::{
    any::Any,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, sync::oneshot, task::JoinSet};

/// What was read.
struct Told {
    headline: Headline,
    tooltip: String,
    /// The first two lines of `leeward status`.
    lines: [String; 2],
    agent: Option<String>,
}

/// An engine as it serves: with the lock, the record and the words of its program.
struct Stage {
    engine: Engine,
    config: Arc<Mutex<Config>>,
    home: tempfile::TempDir,
    _lock: Lock,
    /// What the situation is made of.
    kept: Vec<Box<dyn Any + Send>>,
}

impl Stage {
    fn of(upstream: Option<&Upstream>, tune: impl FnOnce(&mut Config)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut config = config(home.path(), upstream);
        tune(&mut config);
        let lock = Lock::acquire(&config.paths).unwrap();
        let shared = Arc::new(Mutex::new(config.clone()));
        let read = shared.clone();
        let options: EngineOptions = Box::new(move || Ok(read.lock().unwrap().clone())).into();
        let hooks = TestHooks { network: Some(silent()), ..TestHooks::default() };
        let engine = Engine::start_with(config, options.on_any_port().worded(view::headline), hooks).unwrap();
        let stage = Self { engine, config: shared, home, _lock: lock, kept: Vec::new() };
        stage.record();
        stage
    }

    fn keeping(mut self, what: impl Any + Send) -> Self {
        self.kept.push(Box::new(what));
        self
    }

    fn address(&self) -> SocketAddr {
        self.engine.status().borrow().listener.address.parse().unwrap()
    }

    fn record(&self) {
        let paths = self.config.lock().unwrap().paths.clone();
        let record =
            Record { pid: std::process::id(), address: self.address(), version: "test".into(), started_unix_ms: unix_ms() };
        write_record(&paths, &record).unwrap();
    }

    async fn restart(&self) {
        let (reply, done) = oneshot::channel();
        self.engine.commands().send(Engines::Restart { reply }).await.unwrap();
        done.await.unwrap().unwrap();
    }

    /// The error that an agent gets on this path.
    async fn refused(&self, path: &str) -> String {
        let asked = client().post(format!("http://{}{path}", self.address())).json(&message(false));
        let response = asked.send().await.unwrap();
        assert!(!response.status().is_success(), "{path}");
        error_in(&response.text().await.unwrap())
    }

    /// What is read once the first line has this in it.
    async fn told(&self, sign: &str, agent: Option<String>) -> Told {
        let token = std::fs::read_to_string(self.home.path().join("state/control.token")).unwrap();
        let until = Instant::now() + LIMIT;
        loop {
            let asked = client().get(format!("http://{}/_leeward/v1/status", self.address())).bearer_auth(&token);
            let status: serde_json::Value = asked.send().await.unwrap().json().await.unwrap();
            let (headline, tooltip) = pictures(&status);
            if headline.sentence.contains(sign) {
                let mut command = Command::new(LEEWARD);
                command.arg("status").env_clear().env("LEEWARD_HOME", self.home.path());
                for name in ["PATH", "SystemRoot", "USERPROFILE", "TEMP"] {
                    command.envs(std::env::var_os(name).map(|value| (name, value)));
                }
                return Told { headline, tooltip, lines: first_lines(command), agent };
            }
            assert!(Instant::now() < until, "`{sign}` is not in {headline:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The panel's headline, as the engine sends it, and the tray's tooltip.
fn pictures(status: &serde_json::Value) -> (Headline, String) {
    let parsed: Status = serde_json::from_value(status.clone()).unwrap();
    (parsed.headline.clone(), view::tooltip(&parsed, unix_ms()))
}

fn first_lines(mut command: Command) -> [String; 2] {
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let mut lines = said.lines().map(str::to_owned);
    [0, 1].map(|_| lines.next().unwrap_or_default())
}

fn error_in(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"));
    body.pointer("/error/message").unwrap().as_str().unwrap().to_owned()
}

type Staged = Pin<Box<dyn Future<Output = Option<Told>>>>;

struct Row {
    situation: &'static str,
    stage: fn() -> Staged,
    level: Level,
    /// What the first line says.
    says: &'static [&'static str],
    /// What the next step names.
    next: &'static [&'static str],
    /// What the agent's error says.
    agent: &'static [&'static str],
}

macro_rules! row {
    ($situation:literal, $stage:expr, $level:ident, $says:expr, $next:expr, $agent:expr $(,)?) => {
        Row {
            situation: $situation,
            stage: || Box::pin($stage),
            level: Level::$level,
            says: &$says,
            next: &$next,
            agent: &$agent,
        }
    };
}

fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An upstream that nobody gets to: one request fails, and then the line is read.
async fn toward(url: String, sign: &str, tune: impl FnOnce(&mut Config)) -> Option<Told> {
    let stage = Stage::of(None, |c| {
        c.upstream = url.parse().unwrap();
        c.retry.total = Duration::from_millis(300);
        c.circuit.max_wait = Duration::from_millis(300);
        tune(c);
    });
    let agent = stage.refused("/v1/messages").await;
    Some(stage.told(sign, Some(agent)).await)
}

async fn certificate(from: i64, until: i64, trusted: bool, sign: &'static str) -> Option<Told> {
    let (address, trust, _server) = dated(from, until).await;
    toward(format!("https://{address}"), sign, |c| {
        if trusted {
            c.trust = trust;
        }
    })
    .await
}

/// `failing` says of each request whether its connection is reset; as many are asked one after the other.
async fn asked(requests: u64, replays: u32, failing: fn(u64) -> bool, sign: &'static str) -> Option<Told> {
    let plan = Plan::by(move |moment| match moment {
        scripted::Moment::Request { ordinal, .. } if failing(*ordinal) => Fault::ResetBeforeHeaders,
        _ => Fault::None,
    });
    let upstream = Upstream::plain(plan).unwrap();
    let stage = Stage::of(Some(&upstream), |c| c.retry.replays = replays).keeping(upstream);
    let mut agent = None;
    for _ in 0..requests {
        let response =
            client().post(format!("http://{}/v1/messages", stage.address())).json(&message(false)).send().await.unwrap();
        // Who leaves before the body's end is a client that left, not an answered one.
        let (failed, body) = (!response.status().is_success(), response.text().await.unwrap());
        agent = failed.then(|| error_in(&body)).or(agent);
    }
    Some(stage.told(sign, agent).await)
}

async fn full(sign: &'static str) -> Option<Told> {
    let upstream = Upstream::plain(Plan::always(Fault::StallBeforeHeaders)).unwrap();
    let stage = Stage::of(Some(&upstream), |c| {
        c.pool.size = 1;
        c.pool.wait = Duration::from_millis(100);
    });
    let mut running = JoinSet::new();
    let asked = client().post(format!("http://{}/v1/messages", stage.address())).json(&message(false));
    running.spawn(async move { asked.send().await.map(|_| ()) });
    eventually("it runs", async || upstream.log().read(|record| record.open()) > 0).await;
    let agent = stage.refused("/v1/messages").await;
    let told = stage.told(sign, Some(agent)).await;
    running.abort_all();
    Some(told)
}

async fn capped(sign: &'static str) -> Option<Told> {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let stage = Stage::of(Some(&upstream), |c| c.limits.connections = 3).keeping(upstream);
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(TcpStream::connect(stage.address()).await.unwrap());
    }
    let agent = stage.refused("/v1/messages").await;
    let told = stage.told(sign, Some(agent)).await;
    drop(open);
    Some(told)
}

async fn company(login: Option<&'static str>, refuses: usize, sign: &'static str) -> Option<Told> {
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let company = Company::http(login).await;
    company.script(vec![WriteOutcome::Status(403); refuses]);
    let url = format!("http://{}", company.address);
    let stage = Stage::of(Some(&upstream), |c| {
        c.proxy.url = ProxyChoice::Named(CompanyProxy::parse(&url, "proxy.url").unwrap());
        c.retry.total = Duration::from_millis(300);
    });
    let agent = stage.refused("/v1/messages").await;
    let told = stage.keeping((upstream, company)).told(sign, Some(agent)).await;
    Some(told)
}

/// The configured port is another program's; `freed`: and then it is not any more.
async fn port(freed: bool, sign: &'static str) -> Option<Told> {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = other.local_addr().unwrap();
    let stage = Stage::of(None, |c| (c.listen, c.listen_pinned) = (home, false));
    if !freed {
        return Some(stage.keeping(other).told(sign, None).await);
    }
    drop(other);
    at(&stage, home).await;
    Some(stage.told(sign, None).await)
}

async fn listen_changed(sign: &'static str) -> Option<Told> {
    let (stage, next) = (Stage::of(None, |c| c.listen_pinned = false), nowhere());
    stage.config.lock().unwrap().listen = next;
    stage.restart().await;
    at(&stage, next).await;
    Some(stage.told(sign, None).await)
}

async fn at(stage: &Stage, address: SocketAddr) {
    let mut status = stage.engine.status();
    let is_there = |status: &Status| status.listener.address == address.to_string() && status.phase == Phase::Serving;
    let there = status.wait_for(is_there);
    tokio::time::timeout(LIMIT, there).await.expect("it goes there").unwrap();
    stage.record();
}

/// What no upstream gets, as it is sent.
async fn sent(text: &'static str) -> Option<Told> {
    let stage = Stage::of(None, |_| {});
    let answer = raw::ask(stage.address(), text.replace("HOST", &stage.address().to_string()).as_bytes()).await;
    let agent = error_in(answer.split("\r\n\r\n").nth(1).unwrap());
    Some(stage.told("Ready on", Some(agent)).await)
}

/// A built Leeward, started with this config file, which is then changed to that one. `status` reads the file as it is then.
async fn file(first: &'static str, then: Option<&'static str>, sign: &'static str) -> Option<Told> {
    let home = Home::new();
    home.configure(first);
    let serving = home.serve(&[]);
    if let Some(then) = then {
        home.configure(then);
    }
    Some(read(&home, &serving, |args| home.command(args), sign).await)
}

async fn read(_home: &Home, _serving: &Serving, command: impl Fn(&[&str]) -> Command, sign: &str) -> Told {
    let until = Instant::now() + LIMIT;
    loop {
        let shown = command(&["status", "--json"]).output().unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        if let Some(status) = shown.get("status") {
            let (headline, tooltip) = pictures(status);
            if headline.sentence.contains(sign) {
                return Told { headline, tooltip, lines: first_lines(command(&["status"])), agent: None };
            }
        }
        assert!(Instant::now() < until, "`{sign}` is not in {shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `None` where no mounts can be made.
#[cfg(target_os = "linux")]
async fn disk(mounts: &'static str, sign: &'static str) -> Option<Told> {
    let mounted = crate::alone::Mounted::new("what_people_are_told", mounts)?;
    let serving = mounted.home.serve_by(mounted.command(&["serve"], true));
    Some(read(&mounted.home, &serving, |args| mounted.command(args, true), sign).await)
}

#[cfg(not(target_os = "linux"))]
fn disk(_mounts: &'static str, _sign: &'static str) -> std::future::Ready<Option<Told>> {
    std::future::ready(None)
}

/// The history's and the log's places are taken from a Leeward that runs.
async fn lost_while_it_runs(sign: &'static str) -> Option<Told> {
    let home = Home::new();
    let serving = home.serve(&[]);
    let ledger = home.paths().ledger_file();
    std::fs::create_dir_all(&ledger).ok();
    let log = home.paths().log_file();
    std::fs::remove_dir_all(log.parent().unwrap()).unwrap();
    std::fs::write(log.parent().unwrap(), "a file in its place").unwrap();
    home.run(&["restart"]);
    Some(read(&home, &serving, |args| home.command(args), sign).await)
}

const HOUR: i64 = 3600;
#[cfg(target_os = "linux")]
const FULL: &str = crate::alone::FULL;
#[cfg(target_os = "linux")]
const READ_ONLY: &str = crate::alone::READ_ONLY;
#[cfg(not(target_os = "linux"))]
const FULL: &str = "";
#[cfg(not(target_os = "linux"))]
const READ_ONLY: &str = "";

fn table() -> Vec<Row> {
    vec![
        row!(
            "the default upstream refuses",
            toward(format!("https://[::ffff:127.0.0.1]:{}", nowhere().port()), "Can't reach", |_| {}),
            Broken,
            ["Can't reach [::ffff:7f00:1]", "connection refused"],
            ["network or VPN", "retries by itself"],
            ["can't reach [::ffff:7f00:1]", "connection refused", "network or VPN"],
        ),
        row!(
            "no DNS",
            toward("https://nobody.invalid".into(), "Can't reach", |_| {}),
            Broken,
            ["Can't reach nobody.invalid (", "DNS"],
            ["network, VPN or DNS", "retries by itself"],
            ["can't reach nobody.invalid (", "DNS"],
        ),
        row!(
            "more than two of a hundred requests failed",
            asked(20, 0, |ordinal| ordinal == 7, "1 of 20"),
            Degraded,
            ["1 of 20 requests failed in 5 min: the API's edge resets connections"],
            ["leeward doctor"],
            ["the edge of 127.0.0.1:", "broke the connection before it answered"],
        ),
        row!(
            "a request failed after two faults that were retried",
            asked(1, 2, |_| true, "1 of 1"),
            Degraded,
            ["1 of 1 request failed"],
            ["leeward doctor"],
            ["3 attempts"],
        ),
        row!(
            "the certificate is of nobody who is trusted",
            certificate(-HOUR, 100 * HOUR, false, "certificate"),
            Broken,
            ["The certificate of 127.0.0.1 is not trusted: issued by "],
            ["extra_ca"],
            ["is not trusted", "extra_ca"],
        ),
        row!(
            "the certificate is not valid yet",
            certificate(12 * HOUR, 100 * HOUR, true, "certificate"),
            Broken,
            ["127.0.0.1's certificate begins on 20", "by this clock"],
            ["Set the clock"],
            ["clock"],
        ),
        row!(
            "the certificate has expired",
            certificate(-100 * HOUR, -12 * HOUR, true, "certificate"),
            Broken,
            ["127.0.0.1's certificate expired on 20", "by this clock"],
            ["If the clock is right, only the server's owner"],
            ["expired on"],
        ),
        row!(
            "plain HTTP behind https://",
            async {
                let upstream = Upstream::plain(Plan::none()).unwrap();
                toward(format!("https://{}", upstream.address()), "plain HTTP", |_| {}).await
            },
            Broken,
            ["127.0.0.1:", "speaks plain HTTP"],
            ["http://"],
            ["speaks plain HTTP", "http://"],
        ),
        row!(
            "a local model server that was not started",
            toward(format!("http://{}", nowhere()), "listens", |_| {}),
            Broken,
            ["Nothing listens on 127.0.0.1:"],
            ["Start"],
            ["nothing listens on 127.0.0.1:", "Start"],
        ),
        row!(
            "the own pool is full",
            full("pool.size"),
            Degraded,
            ["pool.size"],
            ["Raise pool.size"],
            ["1 request to 127.0.0.1:", "(pool.size)", "Raise pool.size"],
        ),
        row!(
            "the own cap is reached",
            capped("limits.connections"),
            Degraded,
            ["3 connections of clients are open", "limits.connections"],
            ["raise limits.connections"],
            ["limit of 3 connections", "(limits.connections)"],
        ),
        row!(
            "the company proxy refuses",
            company(None, 1000, "company proxy"),
            Broken,
            ["company proxy", "127.0.0.1:", "403"],
            ["proxy.url"],
            ["company proxy", "403"],
        ),
        row!(
            "the company proxy wants a login",
            company(Some("me:hush"), 0, "company proxy"),
            Broken,
            ["company proxy", "127.0.0.1:", "user and password"],
            ["proxy.url"],
            ["company proxy", "user and password"],
        ),
        row!(
            "the port is taken",
            port(false, "is taken by"),
            Degraded,
            ["127.0.0.1:", "is taken by", "instead"],
            ["leeward wrap"],
            []
        ),
        row!("the port is free again", port(true, "Ready on"), Ok, ["Ready on 127.0.0.1:"], [], []),
        row!("listen is changed", listen_changed("Ready on"), Ok, ["Ready on 127.0.0.1:"], [], []),
        row!(
            "the config is invalid at the start",
            file("lisen = '127.0.0.1:1'\n", None, "config"),
            Degraded,
            ["config.toml:2", "lisen", "`listen`"],
            ["leeward config check"],
            [],
        ),
        row!(
            "the config is invalid at a reload, and for the client's command",
            file("", Some("[retry]\nreplays = 'many'\n"), "config"),
            Degraded,
            ["config.toml:3", "retry.replays", "expected a whole number"],
            ["leeward config check"],
            [],
        ),
        row!(
            "the disk is full at the start",
            disk(FULL, "state folder"),
            Degraded,
            ["No space left on device"],
            ["Free some space"],
            []
        ),
        row!("the disk is read-only at the start", disk(READ_ONLY, "state folder"), Degraded, ["Read-only"], ["mend"], []),
        row!(
            "what is kept cannot be written while it runs",
            lost_while_it_runs("log"),
            Degraded,
            ["cannot be written"],
            ["Free some space"],
            []
        ),
        row!(
            "used as HTTP_PROXY",
            sent("GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n"),
            Ok,
            ["not tried yet"],
            [],
            ["HTTP_PROXY", "leeward wrap", "NO_PROXY"],
        ),
        row!(
            "used as HTTPS_PROXY without a token",
            sent("CONNECT api.anthropic.com:443 HTTP/1.1\r\nHost: api.anthropic.com:443\r\n\r\n"),
            Ok,
            ["not tried yet"],
            [],
            ["leeward wrap", "HTTPS_PROXY"],
        ),
        row!(
            "a wrong Host",
            sent("GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
            Ok,
            ["not tried yet"],
            [],
            ["allowed_hosts"],
        ),
        row!(
            "a foreign Origin",
            sent("GET /v1/models HTTP/1.1\r\nHost: HOST\r\nOrigin: https://evil.example\r\n\r\n"),
            Ok,
            ["not tried yet"],
            [],
            ["allowed_origins"],
        ),
        row!(
            "a WebSocket that is refused",
            sent("GET /v1/responses HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
            Ok,
            ["not tried yet"],
            [],
            ["WebSocket", "plain HTTP"],
        ),
        row!(
            "the upstream was never tried",
            async {
                Some(Stage::of(None, |c| c.upstream = "https://api.anthropic.com".parse().unwrap()).told("Ready", None).await)
            },
            Ok,
            ["Ready on 127.0.0.1:", "api.anthropic.com not tried yet"],
            [],
            [],
        ),
    ]
}

/// Nothing that only a log explains.
fn reads_well(text: &str) -> bool {
    !["os error", "::Err", "Os {", ".rs:", "Some(", "Error {", "  "].iter().any(|sign| text.contains(sign))
}

/// Digits out, since ages grow between two looks.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_are_told() {
    let mut wrong = Vec::new();
    for Row { situation, stage, level, says, next, agent } in table() {
        let Some(told) = stage().await else { continue };
        let Told { headline, tooltip, lines: [first, second], agent: error } = told;
        println!("{situation}\n  {}\n  {}\n  {tooltip}\n  {error:?}", headline.sentence, headline.next);
        let mut check = |is_right: bool, what: &str| {
            if !is_right {
                wrong.push(format!("{situation}: {what}\n  {headline:?}\n  {tooltip}\n  {first}\n  {second}\n  {error:?}"));
            }
        };
        check(headline.level == level, "another level");
        check(says.iter().all(|part| headline.sentence.contains(part)), "the first line");
        check(next.iter().all(|part| headline.next.contains(part)), "the next step");
        check(next.is_empty() == headline.next.is_empty(), "a next step where there is none, or none");
        check(
            tooltip.starts_with(&headline.sentence[..1]) && words(&tooltip).starts_with(&words(&headline.sentence)),
            "the tooltip",
        );
        check(words(&first) == words(&headline.sentence), "`leeward status`");
        check(next.is_empty() || words(&second) == words(&format!("{}.", headline.next)), "the next step of `leeward status`");
        check(agent.is_empty() == error.is_none(), "an error, or none");
        if let Some(error) = &error {
            check(agent.iter().all(|part| error.contains(part)), "the agent's error");
            check(error.starts_with("Leeward: ") && error.chars().count() <= 160, "the agent's error is too long, or nobody's");
        }
        let all = [&headline.sentence, &headline.next, &tooltip, &first];
        check(all.into_iter().chain(&error).all(|text| reads_well(text)), "something that only a log explains");
        check(level == Level::Ok || !tooltip.contains("Ready"), "all is well beside what is wrong");
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
