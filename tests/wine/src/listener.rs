//! The listener's promises: resets, restarts, idle clients, a socket that is lost, a port that is handed on or taken.

use crate::{
    process::{Serving, Windows, until, within},
    requests::{message, slow_stream},
};
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
/// Its server does what it does for one socket for all of them: five thousand that end at once keep it busy for minutes.
const IDLE: usize = 1000;

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

pub fn resets(serving: &Serving) -> String {
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

pub fn restarts(serving: &Serving) -> String {
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

/// Many clients that say nothing, which is what agents' pools do most of the time.
pub fn idle_clients(serving: &Serving) -> String {
    let mut idle: Vec<_> = (0..IDLE).map(|_| TcpStream::connect(serving.address).unwrap()).collect();
    let accepted = || serving.health().unwrap()["listener"]["connections"].as_u64().unwrap() >= IDLE as u64;
    until("all are accepted", accepted);
    let begun = Instant::now();
    for n in 0..50 {
        assert!(serving.health().is_some(), "answer {n}");
    }
    let took = begun.elapsed() / 50;
    let request = format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", serving.address);
    for stream in idle.iter_mut().step_by(100) {
        stream.write_all(request.as_bytes()).unwrap();
        let mut first = [0u8; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    }
    format!("{IDLE} clients, /health 50 of 50 beside them, {took:.1?} each; those that ask at last are answered")
}

/// What a tool that closes handles does, or a library in the process: no error comes of it, and nobody is woken. The supervisor
/// has a handle of the socket and the accept loop another one.
pub fn lost(windows: &Windows, serving: &Serving) -> String {
    let mut stream = slow_stream(serving.address);
    let pid = serving.health().unwrap()["pid"].to_string();
    // Bound again; a new generation; or, where the accept loop itself was told of its handle, a fresh one of the same socket.
    let mended = |health: &serde_json::Value| {
        let listener = &health["listener"];
        [&listener["rebinds"], &health["generation"], &listener["accept_errors"]].map(|n| n.as_u64().unwrap())
    };
    let mut times = Vec::new();
    for which in ["all", "all", "first", "last", "all"] {
        let before = mended(&serving.health().unwrap());
        let mut lose = windows.do_to(&["lose", &pid, &serving.address.port().to_string(), which]);
        assert!(lose.status().unwrap().success(), "its socket cannot be closed");
        let begun = Instant::now();
        // The self-probe alone would find it after five to ten seconds.
        let what = format!("{which} lost, and the port answers again");
        within(Duration::from_secs(8), &what, || serving.health().is_some_and(|health| mended(&health) != before));
        times.push(begun.elapsed());
    }
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.matches("data:").count() >= 35, "the stream in flight is unharmed: {rest}");
    times.sort();
    format!("mended 5 of 5 times, after {:.1?} (median; {:.1?} at most); the stream finishes", times[2], times[4])
}

pub fn port_taken(windows: &Windows, folder: &Path, serving: &Serving) -> String {
    let taken = serving.address;
    let home = folder.join("other");
    std::fs::create_dir(&home).unwrap();
    let (code, said) = windows.run(&home, &["serve", "--listen", &taken.to_string()]);
    assert!(
        code == Some(75) && said.contains(&format!("port {} of {} is taken by ", taken.port(), taken.ip())),
        "{code:?} {said}"
    );
    let (_, rest) = said.split_once(" is taken by ").unwrap();
    format!("\"taken by {}\"", rest.split(';').next().unwrap_or_default())
}

/// What a tray that takes over does where no socket can be passed: the port is free at once, the stream finishes.
pub fn handing_on(windows: &Windows, home: &Path, serving: &mut Serving) -> String {
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
