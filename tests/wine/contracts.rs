//! What is promised, one function a contract; each returns the line of the table that says what was counted.

use crate::{
    console, installer,
    process::{LIMIT, Serving, Windows, ask, path, until},
};
use leeward::demo::upstream::{Plan, Upstream};
use socket2::SockRef;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// As many as the founding report had and ten times more.
const RESETS: usize = 4000;
const RESTARTS: u64 = 20;
/// Requests that are answered between two restarts, at least.
const BETWEEN: u64 = 20;

/// All of them, in one home with blanks and letters that are not ASCII in its name.
pub fn all(windows: &Windows) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("a home of Jörg – 风");
    std::fs::create_dir(&home).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _entered = runtime.enter();
    let upstream = Upstream::plain(Plan::none()).unwrap();
    std::fs::write(home.join("config.toml"), format!("upstream = '{}'\n", upstream.url())).unwrap();
    let mut serving = windows.serve(&home, &["--listen", "127.0.0.1:0"]);
    let rows = [
        ("L1, L2", "resets of four shapes, /health after each", resets(&serving)),
        ("L5", "restarts under load", restarts(&serving)),
        ("L7", "answers of /health while 200 clients say nothing", silent_clients(&serving)),
        ("requests", "messages and a stream of events", requests(&serving)),
        ("commands", "status, restart, env; exit codes 0, 64, 75, 78", commands(windows, &home, &serving)),
        ("port taken", "named, with exit code 75", port_taken(windows, folder.path(), serving.address)),
        ("wrap", "a program's own exit code", wrapped(windows, &home)),
        ("installer", "the user's PATH; installed over a `serve` that runs", installer::hooks(windows, &home)),
        ("handing on", "told to stop with a stream in flight", handing_on(windows, &home, &mut serving)),
        ("console", "Ctrl-C typed into it; the console closed", console::served(windows, &home)),
        ("console and wrap", "Ctrl-C twice; Ctrl-Break; the console closed", console::wrapped(windows, &home)),
        ("the contrast", "resets that a naive listener survives on Windows' API", naive(windows, &home)),
    ];
    println!("\nThe Windows build under Wine, a Linux client beside it:\n\n| contract | what | seen |\n| --- | --- | --- |");
    rows.iter().for_each(|(contract, what, seen)| println!("| {contract} | {what} | {seen} |"));
}

/// One connection that ends in a reset: at once, in the middle of a head, behind a whole request, in the middle of a body.
fn reset(address: SocketAddr, shape: usize) {
    let mut stream = TcpStream::connect(address).unwrap();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    let request = match shape % 4 {
        0 => String::new(),
        1 => "GET /health HT".into(),
        2 => format!("GET /sse/5?delay_ms=50 HTTP/1.1\r\nhost: {address}\r\n\r\n"),
        _ => format!("POST /v1/messages HTTP/1.1\r\nhost: {address}\r\ncontent-length: 100000\r\n\r\n{{"),
    };
    stream.write_all(request.as_bytes()).ok();
}

fn resets(serving: &Serving) -> String {
    let mut times: Vec<Duration> = (0..RESETS)
        .map(|n| {
            reset(serving.address, n);
            let begun = Instant::now();
            assert!(serving.health().is_some(), "/health was not answered after reset {n}");
            begun.elapsed()
        })
        .collect();
    times.sort();
    let health = serving.health().unwrap();
    let listener = &health["listener"];
    let errors = listener["accept_errors"].as_u64().unwrap();
    assert!(errors > 0, "Wine makes accept fail where Linux hides it: {listener}");
    assert_eq!((&health["generation"], &listener["rebinds"], &listener["accepting"]), (&1.into(), &0.into(), &true.into()));
    let (median, slowest) = (times[RESETS / 2], times[RESETS - 1]);
    let error = listener["last_accept_error"].as_str().unwrap_or_default();
    format!(
        "{RESETS} resets, {RESETS} answers, 0 missed; {errors} accept errors survived ({error}); median {median:.1?}, slowest {slowest:.1?}; same socket, same engine"
    )
}

fn restarts(serving: &Serving) -> String {
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let address = serving.address;
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (stop, answered) = (stop.clone(), answered.clone());
            std::thread::spawn(move || {
                while !stop.load(Relaxed) {
                    let answer = message(address).unwrap_or_else(|why| panic!("after {answered:?} requests: {why}"));
                    assert!(answer.starts_with("HTTP/1.1 200"), "after {answered:?} requests: {answer}");
                    answered.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    for round in 1..=RESTARTS {
        let answer = serving.control("restart", "");
        assert!(answer.contains(&format!("\"generation\":{}", round + 1)), "{answer}");
        let before = answered.load(Relaxed);
        until("requests go on", || answered.load(Relaxed) >= before + BETWEEN || load.iter().any(JoinHandle::is_finished));
    }
    stop.store(true, Relaxed);
    load.into_iter().for_each(|load| load.join().unwrap());
    let answered = answered.load(Relaxed);
    let health = serving.health().unwrap();
    assert_eq!((&health["generation"], &health["listener"]["rebinds"]), (&(RESTARTS + 1).into(), &0.into()));
    format!("{RESTARTS} restarts, {answered} requests, 0 failed")
}

fn message(address: SocketAddr) -> std::io::Result<String> {
    let body = r#"{"model":"claude-test","max_tokens":64,"messages":[{"role":"user","content":"hello"}]}"#;
    ask(address, "POST /v1/messages HTTP/1.1", "content-type: application/json\r\n", body)
}

fn silent_clients(serving: &Serving) -> String {
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(serving.address).unwrap()).collect();
    let begun = Instant::now();
    for n in 0..50 {
        assert!(serving.health().is_some(), "answer {n}");
    }
    let took = begun.elapsed();
    drop(silent);
    format!("50 of 50, {:.1?} each", took / 50)
}

fn requests(serving: &Serving) -> String {
    let answer = message(serving.address).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.to_ascii_lowercase().contains("x-leeward-attempts: 1"), "{answer}");
    let events = serving.ask("GET /sse/200 HTTP/1.1", "", "").unwrap().matches("data:").count();
    assert!(events >= 200, "{events}");
    let foreign = serving.ask("GET /v1/models HTTP/1.1", "origin: http://evil.example\r\n", "").unwrap();
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
    let smuggled = serving.ask("POST /v1/messages HTTP/1.1", "transfer-encoding: chunked\r\n", "").unwrap();
    assert!(smuggled.starts_with("HTTP/1.1 400"), "{smuggled}");
    format!("{events} events whole; a foreign origin 403, ambiguous framing 400")
}

fn commands(windows: &Windows, home: &Path, serving: &Serving) -> String {
    let (code, said) = windows.run(home, &["status", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("\"address\":\"{}\"", serving.address)) || said.contains(&serving.address.to_string()),
        "{said}"
    );
    let (code, said) = windows.run(home, &["restart"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = windows.run(home, &["env", "--shell", "powershell"]);
    assert!(code == Some(0) && said.contains("$env:ANTHROPIC_BASE_URL"), "{said}");
    assert_eq!(windows.run(home, &["no-such-command"]).0, Some(64));
    let (code, said) = windows.run(home, &["serve", "--listen", "127.0.0.1:0"]);
    assert!(code == Some(75) && said.contains(&format!("already serving on {}", serving.address)), "{code:?} {said}");
    let broken = home.join("broken");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(broken.join("config.toml"), "retry = 1\n").unwrap();
    let (code, said) = windows.run(&broken, &["serve"]);
    assert!(code == Some(78) && said.contains(&path(&broken.join("config.toml"))), "{code:?} {said}");
    "as documented, the file named by its Windows path".into()
}

fn port_taken(windows: &Windows, folder: &Path, taken: SocketAddr) -> String {
    let home = folder.join("other");
    std::fs::create_dir(&home).unwrap();
    let (code, said) = windows.run(&home, &["serve", "--listen", &taken.to_string()]);
    assert!(code == Some(75) && said.contains(&format!("{taken} is taken by ")), "{code:?} {said}");
    let (_, rest) = said.split_once(" is taken by ").unwrap();
    format!("\"taken by {}\"", rest.split(';').next().unwrap_or_default())
}

fn wrapped(windows: &Windows, home: &Path) -> String {
    let (code, said) = windows.run(home, &["run", "--", "cmd.exe", "/c", "exit 7"]);
    assert_eq!(code, Some(7), "{said}");
    let (code, said) = windows.run(home, &["run", "--", "no-such-program"]);
    assert!(code == Some(127) && said.contains("no-such-program"), "{code:?} {said}");
    "7 of `cmd /c exit 7`; 127 for one that is not there".into()
}

/// A stream of 40 events in four seconds that has begun.
pub fn slow_stream(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "GET /sse/40?delay_ms=100 HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut first = [0u8; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

/// What a tray that takes over does where no socket can be passed: the port is free at once, the stream finishes.
fn handing_on(windows: &Windows, home: &Path, serving: &mut Serving) -> String {
    let address = serving.address;
    let mut stream = slow_stream(address);
    let begun = Instant::now();
    let answer = serving.control("stop", r#"{"drain_ms":30000}"#);
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let mut free = None;
    until("the port is free", || {
        free = TcpListener::bind(address).ok();
        free.is_some()
    });
    let gap = begun.elapsed();
    drop(free);
    let next = windows.serve(home, &["--listen", &address.to_string()]);
    assert!(next.health().is_some());
    assert!(serving.child.try_wait().unwrap().is_none(), "its stream still runs");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.matches("data:").count() >= 35, "{rest}");
    assert_eq!(serving.ended(), Some(0));
    format!("port free after {gap:.0?}, the next process serves there while the stream finishes")
}

/// The founding bug itself: an accept loop that gives up on an error, on the API that reports it.
fn naive(windows: &Windows, home: &Path) -> String {
    let (code, said) = windows.run(home, &["demo", "--quick", "--json", "--seed", "1"]);
    let json = said.find('{').and_then(|at| serde_json::Deserializer::from_str(&said[at..]).into_iter().next());
    let demo: serde_json::Value = json.and_then(Result::ok).unwrap_or_else(|| panic!("{code:?} {said}"));
    let listener = &demo["listener"];
    let (naive, leeward) = (&listener["without"], &listener["leeward"]);
    assert_eq!((&naive["alive"], &leeward["alive"]), (&false.into(), &true.into()), "{demo:#}");
    assert_eq!(leeward["health_failed"], 0, "{demo:#}");
    let clients = leeward["resets"].as_u64().unwrap();
    format!(
        "naive: lost at client {}, {} of {clients} answered; Leeward: {} of {clients}",
        naive["lost_after"], naive["health_ok"], leeward["health_ok"]
    )
}
