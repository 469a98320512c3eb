//! The configured address is followed (L7): the port comes home as soon as it is free, a changed `listen` is bound at once, and
//! the address before is served for as long as somebody uses it. Over real sockets and real processes.

use crate::support::{LIMIT, client, config, eventually, message, silent};
use leeward::{
    config::Config,
    control::Command,
    health::Code,
    status::Status,
    supervisor::{Engine, EngineOptions, TestHooks},
};
use scripted::{Plan, Upstream};
use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinSet};

/// An engine whose config is changed as a file is.
struct Followed {
    engine: Engine,
    config: Arc<Mutex<Config>>,
    home: tempfile::TempDir,
    _upstream: Upstream,
}

impl Followed {
    fn start(listen: SocketAddr) -> Self {
        let (home, upstream) = (tempfile::tempdir().unwrap(), Upstream::plain(Plan::none()).unwrap());
        let mut config = config(home.path(), Some(&upstream));
        (config.listen, config.listen_pinned) = (listen, false);
        // So long after its last use an address is given up.
        config.client.idle = Duration::from_secs(2);
        let shared = Arc::new(Mutex::new(config.clone()));
        let read = shared.clone();
        let options: EngineOptions = Box::new(move || Ok(read.lock().unwrap().clone())).into();
        let hooks = TestHooks { network: Some(silent()), ..TestHooks::default() };
        let engine = Engine::start_with(config, options.on_any_port(), hooks).unwrap();
        Self { engine, config: shared, home, _upstream: upstream }
    }

    fn status(&self) -> Status {
        self.engine.status().borrow().clone()
    }

    fn codes(&self) -> Vec<Code> {
        self.status().conditions.iter().map(|condition| condition.code).collect()
    }

    async fn listen(&self, address: SocketAddr) {
        self.config.lock().unwrap().listen = address;
        let (reply, done) = oneshot::channel();
        self.engine.commands().send(Command::Restart { reply }).await.unwrap();
        assert_eq!(done.await.unwrap().unwrap().config_error, None);
    }

    async fn accepts_on(&self, address: SocketAddr) {
        let wanted = |status: &Status| status.listener.address == address.to_string();
        let mut status = self.engine.status();
        tokio::time::timeout(LIMIT, status.wait_for(wanted)).await.expect("it goes there").unwrap();
        eventually("it answers there", async || asks(address).await).await;
    }

    /// A session of an agent that knows this address, as `wrap` holds it open.
    async fn session(&self, address: SocketAddr) -> reqwest::Response {
        let token = std::fs::read_to_string(self.home.path().join("state/control.token")).unwrap();
        let body = serde_json::json!({ "agent": "claude", "pid": 1 });
        let asked = client().post(format!("http://{address}/_leeward/v1/sessions")).bearer_auth(token).json(&body);
        let response = asked.send().await.unwrap();
        assert_eq!(response.status(), 200);
        response
    }
}

async fn asks(address: SocketAddr) -> bool {
    client().get(format!("http://{address}/livez")).send().await.is_ok_and(|response| response.status().is_success())
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused)
}

/// A port that nobody has.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// New connections to an address, one after the other; how many were made, and how many failed.
struct Load(Arc<AtomicBool>, Arc<[AtomicU64; 2]>, JoinSet<()>);

impl Load {
    fn on(address: SocketAddr) -> Self {
        let (stop, counts, mut clients) = (Arc::new(AtomicBool::new(false)), Arc::<[AtomicU64; 2]>::default(), JoinSet::new());
        for _ in 0..2 {
            let (stop, counts) = (stop.clone(), counts.clone());
            clients.spawn(async move {
                while !stop.load(Relaxed) {
                    counts[usize::from(!asks(address).await)].fetch_add(1, Relaxed);
                }
            });
        }
        Self(stop, counts, clients)
    }

    async fn ended(self) -> (u64, u64) {
        self.0.store(true, Relaxed);
        self.2.join_all().await;
        (self.1[0].load(Relaxed), self.1[1].load(Relaxed))
    }
}

/// Each way in which another address comes: what happens, and where it is served then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_address_is_bound_and_the_one_before_is_served_while_it_is_used() {
    for way in ["the port is freed", "listen is changed", "listen is changed to a port that is freed later"] {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let home = other.local_addr().unwrap();
        let begins = if way == "the port is freed" { home } else { free() };
        let followed = Followed::start(begins);
        let before = followed.engine.address();
        let load = Load::on(before);
        if way == "listen is changed" {
            drop(other);
            assert_eq!(followed.codes(), []);
            followed.listen(home).await;
        } else {
            if begins != home {
                followed.listen(home).await;
            }
            assert_eq!(followed.codes(), [Code::PortTaken], "{way}");
            let sentence = followed.status().conditions[0].sentence.clone();
            assert!(sentence.starts_with(&format!("{home} is taken by ")), "{way}: {sentence}");
            if cfg!(target_os = "linux") {
                assert!(sentence.contains(&format!("pid {}", std::process::id())), "{way}: {sentence}");
            }
            assert_eq!(followed.status().listener.address, before.to_string(), "{way}");
            drop(other);
        }
        followed.accepts_on(home).await;
        let (made, failed) = load.ended().await;
        assert!(made > 0 && failed == 0, "{way}: {made} made, {failed} failed");
        assert_eq!((followed.codes(), followed.status().listener.also), (vec![], vec![before.to_string()]), "{way}");
        // A session is use, without any other connection; a request on the address before is answered.
        let session = followed.session(before).await;
        let asked = client().post(format!("http://{before}/v1/messages")).json(&message(false)).send().await.unwrap();
        assert_eq!(asked.status(), 200, "{way}");
        let (reply, done) = oneshot::channel();
        followed.engine.commands().send(Command::Restart { reply }).await.unwrap();
        done.await.unwrap().unwrap();
        assert!(asks(before).await && asks(home).await, "{way}: the next generation serves both");
        drop(session);
        eventually("what nobody uses is given up", async || followed.status().listener.also.is_empty()).await;
        assert!(is_refused(before), "{way}: {before} is given up");
        assert!(asks(home).await, "{way}");
    }
}

/// Agents that keep a connection open hold an address as long, whatever they ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_began_before_ends_well_and_going_back_is_no_conflict() {
    let followed = Followed::start(free());
    let (before, next) = (followed.engine.address(), free());
    let session = followed.session(before).await;
    followed.listen(next).await;
    followed.accepts_on(next).await;
    // Back to an address that is ours already, and there again.
    for address in [before, next, before] {
        followed.listen(address).await;
        followed.accepts_on(address).await;
        assert_eq!(followed.codes(), []);
        assert!(asks(before).await && asks(next).await, "both are served at {address}");
    }
    drop(session);
}

/// One address of a port cannot be bound beside all of them: that is said, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_bound_beside_the_present_address_is_said() {
    let followed = Followed::start(free());
    let before = followed.engine.address();
    let all = SocketAddr::from(([0, 0, 0, 0], before.port()));
    followed.config.lock().unwrap().listen = all;
    let (reply, done) = oneshot::channel();
    followed.engine.commands().send(Command::Restart { reply }).await.unwrap();
    let error = done.await.unwrap().unwrap().config_error.unwrap();
    assert!(error.contains(&format!("listen = {all}")) && error.contains("leeward stop"), "{error}");
    assert_eq!(followed.codes(), [Code::ConfigInvalid]);
    assert!(asks(before).await);
}

#[cfg(unix)]
mod processes {
    use super::*;
    use crate::home::{Home, get, kill, until};

    const UNTIL_DONE: &str = r#"echo "$ANTHROPIC_BASE_URL" > "$OUT/url-$1"; while [ ! -e "$OUT/done-$1" ]; do sleep 0.02; done"#;

    fn answers(address: SocketAddr) -> bool {
        get(address, "/livez").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    fn starts(home: &Home, name: &str) -> crate::home::Running {
        let wrap = crate::home::Running::start(&mut home.command(&["wrap", "claude", name]));
        until("the agent runs", || home.read(&format!("url-{name}")).ends_with('\n'));
        wrap
    }

    /// Record, `status`, `wrap` and whoever holds the sockets follow; also when Leeward is killed with agents on both.
    #[test]
    fn record_status_wrap_and_holders_follow() {
        let mut home = Home::new();
        home.agent("claude", UNTIL_DONE);
        let before = home.address;
        let mut first = starts(&home, "first");
        let pid = home.record().unwrap().pid;
        home.address = free();
        home.configure("");
        until("the record names the new address", || home.record().is_some_and(|record| record.address == home.address));
        assert_eq!(home.record().unwrap().pid, pid, "the same process");
        let mut second = starts(&home, "second");
        assert!(home.read("url-second").contains(&home.address.to_string()), "{}", home.read("url-second"));
        assert!(home.read("url-first").contains(&before.to_string()));
        until("both sessions are there", || home.status()["status"]["sessions"].as_array().is_some_and(|all| all.len() == 2));
        assert_eq!(home.status()["status"]["listener"]["also"], serde_json::json!([before.to_string()]));
        let said = home.run(&["status"]).stdout;
        assert!(said.contains(&format!("also {before} for agents that know it")), "{said}");
        kill(pid, "KILL");
        until("another one serves both", || {
            home.record().is_some_and(|record| record.pid != pid) && answers(before) && answers(home.address)
        });
        for (name, wrap) in [("first", &mut first), ("second", &mut second)] {
            std::fs::write(home.path(&format!("done-{name}")), "").unwrap();
            assert_eq!(wrap.ended(), Some(0));
        }
    }
}
