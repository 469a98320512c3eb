//! The port is never free while a session uses it (L6): each wrap holds a duplicate of the listening socket, connections wait
//! while nobody accepts, and whoever starts next serves on that very socket. Deliberate ends, hung instances, late ones.
#![cfg(unix)]

use crate::{
    home::{Home, LEEWARD, LIMIT, Ran, Running, get, kill, until},
    support::{TestEngine, client, eventually, seam::Script},
};
use leeward::instance::{Holding, Lock, held_socket, holders, lend};
use scripted::{Plan, Upstream};
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Says that it runs, and runs until the file `done` appears.
const UNTIL_DONE: &str = r#"echo > "$OUT/ready"; while [ ! -e "$OUT/done" ]; do sleep 0.02; done"#;

/// A wrapped agent that runs.
fn wrapped(home: &Home) -> Running {
    home.agent("claude", UNTIL_DONE);
    let wrap = Running::start(home.command(&["wrap", "claude"]).stderr(Stdio::piped()));
    until("the agent runs", || home.path("ready").exists());
    wrap
}

fn finish(home: &Home, mut wrap: Running) -> String {
    std::fs::write(home.path("done"), "").unwrap();
    assert_eq!(wrap.ended(), Some(0));
    let mut said = String::new();
    wrap.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

fn answers(address: SocketAddr) -> bool {
    get(address, "/livez").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Kills whoever serves, and returns once another process does, at the same address.
fn kill_and_wait(home: &Home) -> Duration {
    let before = home.record().unwrap();
    kill(before.pid, "KILL");
    let killed = Instant::now();
    until("it accepts again", || answers(before.address));
    let took = killed.elapsed();
    until("it is another one", || home.record().is_some_and(|after| after.pid != before.pid));
    assert_eq!(home.record().unwrap().address, before.address);
    took
}

/// Threads that do something until they are told to stop.
struct Meanwhile(Arc<AtomicBool>, Vec<JoinHandle<()>>);

impl Meanwhile {
    fn run(threads: usize, work: impl Fn() + Clone + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = |_| {
            let (stop, work) = (stop.clone(), work.clone());
            thread::spawn(move || {
                while !stop.load(Relaxed) {
                    work();
                }
            })
        };
        Self(stop.clone(), (0..threads).map(thread).collect())
    }

    fn end(self) {
        self.0.store(true, Relaxed);
        for thread in self.1 {
            thread.join().unwrap();
        }
    }
}

/// 20 kills under 1,000 connections a second and beside a program that binds the port in a loop.
#[test]
fn nobody_is_refused_and_nobody_gets_the_port_while_leeward_is_killed() {
    const KILLS: usize = 20;
    let home = Home::new();
    let wrap = wrapped(&home);
    let address = home.record().unwrap().address;
    let counts: Arc<[AtomicU64; 3]> = Arc::default();
    let counted = counts.clone();
    let clients = Meanwhile::run(4, move || {
        let [connected, refused, other] = &*counted;
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(_) => connected,
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => refused,
            Err(_) => other,
        }
        .fetch_add(1, Relaxed);
        thread::sleep(Duration::from_millis(4));
    });
    let (tries, stolen) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (tried, won) = (tries.clone(), stolen.clone());
    let thief = Meanwhile::run(1, move || {
        // As the standard library binds on Unix, with SO_REUSEADDR.
        won.fetch_add(u64::from(TcpListener::bind(address).is_ok()), Relaxed);
        tried.fetch_add(1, Relaxed);
        thread::sleep(Duration::from_micros(200));
    });
    let mut times: Vec<_> = (0..KILLS).map(|_| kill_and_wait(&home)).collect();
    clients.end();
    thief.end();
    times.sort();
    let [connected, refused, other] = [0, 1, 2].map(|n: usize| counts[n].load(Relaxed));
    println!(
        "{KILLS} kills: {connected} connected, {refused} refused, {other} failed otherwise; {} binds, {} won; accepting again \
         after {:?} (median), {:?} (longest)",
        tries.load(Relaxed),
        stolen.load(Relaxed),
        times[KILLS / 2],
        times[KILLS - 1]
    );
    assert_eq!((refused, other), (0, 0));
    assert!(connected > 0 && tries.load(Relaxed) > 0);
    assert_eq!(stolen.load(Relaxed), 0, "the port was another program's");
    assert_eq!(finish(&home, wrap), "");
}

/// What was sent while nobody accepted is answered by the next one.
#[test]
fn a_request_that_waited_is_answered_by_whoever_comes() {
    let home = Home::new();
    let _wrap = wrapped(&home);
    let before = home.record().unwrap();
    kill(before.pid, "KILL");
    let mut waiting = TcpStream::connect(before.address).unwrap();
    waiting.set_read_timeout(Some(LIMIT)).unwrap();
    write!(waiting, "GET /livez HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", before.address).unwrap();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn an_end_on_purpose_frees_the_port_and_nobody_starts_it_again() {
    let home = Home::new();
    home.configure("drain = '50ms'");
    let wrap = wrapped(&home);
    let (address, pid) = (home.record().unwrap().address, home.record().unwrap().pid);
    let ran = home.run(&["stop"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let user = format!("1 agent still uses it and will be refused: claude (pid {})", wrap.pid());
    assert!(ran.stderr.contains(&user) && ran.stdout.contains("Leeward has stopped"), "{ran:?}");
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let since = Instant::now();
    until("a wrap would have started another one long ago", || {
        assert_eq!(home.record(), None, "somebody started it again");
        since.elapsed() > Duration::from_secs(3)
    });
    assert_eq!(home.run(&["stop"]).code, Some(69), "there is none");
    // Started again by its user, it has its session back, and the session holds the port again.
    let mut serving = home.serve(&[]);
    assert!(serving.address == address && serving.pid() != pid);
    until("the session is back", || home.status()["status"]["sessions"].as_array().is_some_and(|list| list.len() == 1));
    kill(serving.pid(), "KILL");
    serving.ended();
    until("it accepts again", || answers(address));
    finish(&home, wrap);
}

/// The configured address may be another one by now; agents know the one that is held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leeward_that_is_started_by_hand_serves_on_the_held_socket() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = listener.local_addr().unwrap();
    let holding = Arc::new(Holding::open(&home.paths()).unwrap());
    let attends = holding.clone();
    let mut attending = tokio::task::JoinSet::new();
    attending.spawn(async move { match attends.attend().await {} });
    let door = holding.door().to_owned();
    tokio::task::spawn_blocking(move || lend(&door, &listener).unwrap()).await.unwrap();
    let mut waiting = TcpStream::connect(held).unwrap();
    write!(waiting, "GET /livez HTTP/1.1\r\nhost: {held}\r\nconnection: close\r\n\r\n").unwrap();
    let home = Arc::new(home);
    let starts = home.clone();
    let serving = tokio::task::spawn_blocking(move || starts.serve(&[])).await.unwrap();
    assert_eq!(serving.address, held, "not {}", home.address);
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Whoever asks for another address gets that.
    drop(serving);
    let (starts, wanted) = (home.clone(), home.address.to_string());
    let serving = tokio::task::spawn_blocking(move || starts.serve(&["--listen", &wanted])).await.unwrap();
    assert_eq!(serving.address, home.address);
}

/// macOS does not say; there the connections at the end show it.
#[cfg_attr(not(target_os = "linux"), allow(unused_variables, reason = "nothing is asked there"))]
fn is_listening(socket: &TcpListener) -> bool {
    #[cfg(target_os = "linux")]
    return socket2::SockRef::from(socket).is_listener().unwrap();
    #[cfg(not(target_os = "linux"))]
    return true;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_bound_anew_is_held_anew() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let script = Script::default();
    let engine = TestEngine::with(Some(&upstream), |_| {}, script.hooks());
    let holding = Arc::new(Holding::open(&leeward::config::Paths::under(engine.home.path())).unwrap());
    let attends = holding.clone();
    let mut attending = tokio::task::JoinSet::new();
    attending.spawn(async move { match attends.attend().await {} });
    let body = serde_json::json!({ "agent": "claude", "pid": 1, "door": holding.door() });
    let session = client().post(engine.url("/_leeward/v1/sessions")).bearer_auth(engine.token()).json(&body);
    let _session = session.send().await.unwrap();
    holding.filled().await;
    let address = engine.address;
    let listens = |paths: leeward::config::Paths| async move {
        let held = tokio::task::spawn_blocking(move || held_socket(&paths, address)).await.unwrap();
        held.is_some_and(|socket| is_listening(&socket))
    };
    let paths = leeward::config::Paths::under(engine.home.path());
    assert!(listens(paths.clone()).await);
    if cfg!(target_os = "linux") {
        #[cfg(target_os = "linux")]
        script.shut_socket_down();
        eventually("the holder has the new socket", async || listens(paths.clone()).await).await;
        eventually("the engine accepts", async || {
            client().get(engine.url("/livez")).send().await.is_ok_and(|response| response.status().is_success())
        })
        .await;
    }
    // What the holder has outlives the engine.
    let TestEngine { engine, home: _home, .. } = engine;
    drop(script);
    tokio::task::spawn_blocking(move || drop(engine)).await.unwrap();
    TcpStream::connect(address).expect("connections wait");
}

/// A serve that was stopped (Ctrl-Z, a debugger, a container's pause) keeps everybody waiting: it is woken.
#[test]
fn a_stopped_leeward_is_woken_by_whoever_needs_it() {
    let home = Home::new();
    let serving = home.serve(&[]);
    kill(serving.pid(), "STOP");
    let ran = home.run(&["run", "--", "true"]);
    assert_eq!((ran.code, home.record().unwrap().pid), (Some(0), serving.pid()), "{ran:?}");
}

/// One that cannot be woken is ended, and replaced on the same port.
#[test]
fn a_leeward_that_hangs_for_good_is_replaced() {
    let home = Home::new();
    let serving = home.serve(&[]);
    let pid = serving.pid();
    let freezer = Meanwhile::run(1, move || {
        kill(pid, "STOP");
        thread::sleep(Duration::from_millis(1));
    });
    let ran = home.run(&["run", "--", "true"]);
    freezer.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let record = home.record().unwrap();
    assert!(record.pid != pid && record.address == serving.address, "{record:?}");
}

/// Nobody can start one, as the lock is another's: after 15 s clients are refused at once, and the user hears of it.
#[test]
fn a_port_that_nobody_accepts_on_is_let_go_and_said_so() {
    let home = Home::new();
    let wrap = wrapped(&home);
    let record = home.record().unwrap();
    let mut lock = None;
    until("the lock is ours before a wrap's new serve has it", || {
        kill(home.record().map_or(record.pid, |record| record.pid), "KILL");
        lock = Lock::acquire(&home.paths()).ok();
        lock.is_some()
    });
    TcpStream::connect(record.address).expect("connections wait meanwhile");
    until("connections are refused", || {
        TcpStream::connect(record.address).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused)
    });
    drop(lock);
    until("a new one is started as soon as it can be", || answers(record.address));
    let said = finish(&home, wrap);
    assert!(said.contains("could not be started again within 15 s") && said.contains("were refused"), "{said}");
}

/// Whenever the socket comes, before the agent's start or after it.
#[test]
fn every_session_holds_the_port() {
    let home = Home::new();
    let _serving = home.serve(&[]);
    for _ in 0..20 {
        assert_eq!(home.run(&["run", "--", "true"]).code, Some(0));
    }
    let log = home.run(&["logs"]).stdout;
    assert!(!log.contains("does not hold the port"), "{log}");
}

/// An IDE's pipe, a shell's redirection: whoever reads it sees its end with the agent, and the agent has it.
#[test]
fn a_background_leeward_keeps_nothing_open_that_its_starter_inherited() {
    let home = Home::new();
    let script = format!("exec 7>&1 23>&1 >/dev/null; exec '{LEEWARD}' run -- sh -c 'echo the agent >&7'");
    let script = home.command_of("bash".as_ref(), &["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut wrap = Running(script);
    let mut pipe = wrap.0.stdout.take().unwrap();
    let (read, ended) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut said = String::new();
        pipe.read_to_string(&mut said).unwrap();
        read.send(said).ok();
    });
    assert_eq!(wrap.ended(), Some(0));
    let said = ended.recv_timeout(LIMIT);
    let record = home.record().unwrap();
    assert!(answers(record.address), "it serves on");
    kill(record.pid, "KILL");
    reader.join().unwrap();
    assert_eq!(said.as_deref(), Ok("the agent\n"), "the pipe does not end");
}

#[test]
fn whoever_holds_the_port_is_written_down_until_it_ends() {
    let home = Home::new();
    let wrap = wrapped(&home);
    let listed: Vec<_> = holders(&home.paths()).into_iter().map(|holder| holder.pid).collect();
    assert_eq!(listed, [wrap.pid()]);
    finish(&home, wrap);
    assert!(holders(&home.paths()).is_empty());
}

/// One that was stopped with its agent does not answer: then its port is taken, and the user is told by whom.
#[test]
fn a_wrap_that_holds_the_port_is_named_as_one() {
    let home = Home::new();
    let wrap = wrapped(&home);
    let serving = home.record().unwrap();
    kill(wrap.pid(), "STOP");
    kill(serving.pid, "KILL");
    until("it is gone", || Lock::acquire(&home.paths()).is_ok());
    let ran = home.run(&["serve"]);
    kill(wrap.pid(), "CONT");
    let named = format!("is taken by `leeward wrap` (pid {}), which holds it for its agent", wrap.pid());
    assert!(ran.code == Some(75) && ran.stderr.contains(&named), "{ran:?}");
    finish(&home, wrap);
}

/// A service manager holds the socket: systemd hands it over by number, launchd and inetd as standard input.
#[test]
fn a_socket_that_is_passed_is_served() {
    let numbered = format!("exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec '{LEEWARD}' serve");
    for script in [numbered, format!("exec '{LEEWARD}' serve")] {
        let home = Home::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let kept = listener.try_clone().unwrap();
        let mut command = home.command_of("sh".as_ref(), &["-c", &script]);
        command.stdin(OwnedFd::from(listener));
        let mut serving = home.serve_by(command);
        assert_eq!(serving.address, address, "{script}");
        assert!(answers(address));
        kill(serving.pid(), "KILL");
        serving.ended();
        TcpStream::connect(address).expect("whoever holds it keeps the port");
        drop(kept);
    }
    let home = Home::new();
    let mut command =
        home.command_of("sh".as_ref(), &["-c", &format!("exec 3<&0 4<&0; LISTEN_FDS=2 LISTEN_PID=$$ exec '{LEEWARD}' serve")]);
    command.stdin(OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap()));
    let ran = Ran::from(command.output().unwrap());
    assert!(ran.code == Some(64) && ran.stderr.contains("LISTEN_FDS has 2"), "{ran:?}");
}
