//! What only a process of its own can show: the limit of open files, memory, the log.

#![cfg(target_os = "linux")]

use crate::{
    home::{Home, get, kill, until},
    support::{client, message},
};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use scripted::{Fault, Plan, Upstream};
use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

fn open_files(pid: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64
}

/// `serve` that lets its user look into it.
fn open_to_us(home: &Home) -> std::process::Command {
    let mut serve = home.command(&["serve"]);
    serve.env(leeward::instance::DEBUGGABLE, "1");
    serve
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap().trim().trim_end_matches(" kB").trim().parse().unwrap()
}

fn limit_files(pid: u32, files: u64) {
    let limit = Rlimit { current: Some(files), maximum: getrlimit(Resource::Nofile).maximum };
    prlimit(Pid::from_raw(pid.cast_signed()), Resource::Nofile, limit).unwrap();
}

/// L2 for real: out of file descriptors, and accepting again as soon as there are some.
#[test]
fn l2_running_out_of_files_is_survived() {
    let home = Home::new();
    let serving = home.serve_by(open_to_us(&home));
    assert!(get(serving.address, "/health").is_some());
    limit_files(serving.pid(), open_files(serving.pid()) + 4);
    let crowd: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(serving.address).expect("the backlog takes it")).collect();
    until("it runs out", || {
        open_files(serving.pid()) > 4
            && std::fs::read_to_string(home.paths().log_file()).unwrap_or_default().contains("accept failed")
    });
    // As many as it has are served all the same; the rest waits. Then the resources return.
    let mut waiting = TcpStream::connect(serving.address).unwrap();
    waiting.write_all(format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", serving.address).as_bytes()).unwrap();
    limit_files(serving.pid(), 4096);
    let began = Instant::now();
    waiting.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut first = [0u8; 12];
    std::io::Read::read_exact(&mut waiting, &mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let health = get(serving.address, "/health").unwrap();
    assert!(health.contains("\"generation\":1,") && health.contains("\"rebinds\":0"), "{health}");
    assert!(!health.contains("\"accept_errors\":0,"), "{health}");
    drop(crowd);
}

/// What `/health` says on a connection that is kept, and the head it came with.
fn health_on(kept: &mut TcpStream) -> (String, serde_json::Value) {
    let address = kept.peer_addr().unwrap();
    kept.write_all(format!("GET /health HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        std::io::Read::read_exact(kept, &mut byte).expect("the connection is kept");
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split_once("content-length:").unwrap().1.split("\r\n").next().unwrap().trim().parse().unwrap();
    let mut body = vec![0; length];
    std::io::Read::read_exact(kept, &mut body).unwrap();
    (head, serde_json::from_slice(&body).unwrap())
}

/// L9: out of file descriptors it cannot ask itself how it is. That replaces no engine, closes no kept connection, and is
/// over with the shortage.
#[test]
fn l9_who_could_not_ask_itself_replaces_no_engine() {
    let home = Home::new();
    home.configure("[watch]\nprobe = '50ms'\nprobe_timeout = '200ms'\n");
    let serving = home.serve_by(open_to_us(&home));
    let log = || std::fs::read_to_string(home.paths().log_file()).unwrap_or_default();
    // The history has opened its file by then.
    assert_eq!(home.run(&["stats", "--since", "1h"]).code, Some(0));
    let mut kept = TcpStream::connect(serving.address).unwrap();
    kept.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut well = |what: &str| {
        let (head, health) = health_on(&mut kept);
        assert!(!head.contains("connection: close"), "{what}: {head}");
        assert_eq!((&health["generation"], &health["listener"]["rebinds"]), (&1.into(), &0.into()), "{what}: {health}");
        health
    };
    well("before");
    limit_files(serving.pid(), open_files(serving.pid()));
    // Accepting fails as well, all the time.
    let crowd: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(serving.address).expect("the backlog takes it")).collect();
    until("it could not ask several times", || {
        well("without descriptors");
        log().matches("could not be made: ").count() >= 5
    });
    let mut shown = serde_json::Value::Null;
    until("it is shown", || {
        shown = well("without descriptors")["conditions"].take();
        shown[0]["code"] == "resources-exhausted"
    });
    assert_eq!(shown.as_array().unwrap().len(), 1, "and nothing else is wrong: {shown}");
    // The descriptors return: whoever waits is accepted at once.
    let mut waiting = TcpStream::connect(serving.address).unwrap();
    waiting.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    limit_files(serving.pid(), 4096);
    let began = Instant::now();
    let (_, health) = health_on(&mut waiting);
    // 100 ms is the longest pause; the rest is for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    println!("accepting again after {:?}", began.elapsed());
    assert_eq!(health["generation"], 1, "{health}");
    until("all is well again", || well("afterwards")["status"] == "ok");
    let log = log();
    assert!(!log.contains("starting a new engine generation") && !log.contains("did not come up"), "{log}");
    drop(crowd);
}

/// L3 for real: another process shuts the listening socket down behind the engine's back.
#[test]
fn l3_a_socket_shut_down_from_outside_is_bound_again() {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
    let home = Home::new();
    let serving = home.serve_by(open_to_us(&home));
    let pidfd = pidfd_open(Pid::from_raw(serving.pid().cast_signed()).unwrap(), PidfdFlags::empty()).unwrap();
    let listening = std::fs::read_dir(format!("/proc/{}/fd", serving.pid()))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|fd| pidfd_getfd(&pidfd, fd, PidfdGetfdFlags::empty()).ok())
        .map(socket2::Socket::from)
        .find(|socket| socket.is_listener().unwrap_or(false))
        .expect("a listening socket");
    listening.shutdown(std::net::Shutdown::Both).unwrap();
    drop(listening);
    until("the same port answers again", || get(serving.address, "/health").is_some_and(|h| h.contains("\"rebinds\":1")));
    assert!(get(serving.address, "/health").unwrap().contains("\"generation\":1,"), "streams in flight were left alone");
}

/// L8: what idle clients cost, with room for a debug build's larger tasks; the benchmark holds the release to 10 KB.
#[test]
fn l8_idle_clients_cost_little() {
    let home = Home::new();
    let serving = home.serve_by(open_to_us(&home));
    get(serving.address, "/health").unwrap();
    let before = resident_kib(serving.pid());
    let request = format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", serving.address);
    let idle: Vec<TcpStream> = (0..1000)
        .map(|_| {
            let mut stream = TcpStream::connect(serving.address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            std::io::Read::read_exact(&mut stream, &mut [0u8; 15]).unwrap();
            stream
        })
        .collect();
    let each = (resident_kib(serving.pid()) - before) as f64 / idle.len() as f64;
    println!("{each:.1} KiB a client that has asked once and waits");
    assert!(each < 24.0, "{each:.1} KiB a client");
}

/// Secrets pass and leave no trace: not in the log, not in any file of the state folder, not in the output.
#[test]
fn secrets_leave_no_trace() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _entered = runtime.enter();
    let upstream = Upstream::plain(Plan::queue([Fault::None, Fault::HugeHead(1 << 20), Fault::Status(401, vec![])])).unwrap();
    let home = Home::new();
    home.configure(&format!("upstream = \"{}\"\nlog = \"trace\"", upstream.url()));
    let mut serving = home.serve(&[]);
    const PLANTED: [&str; 5] =
        ["sk-ant-api03-PLANTED-AAAA", "PLANTED-oauth-token", "PLANTED-body-text", "PLANTED-query-key", "PLANTED-cookie"];
    runtime.block_on(async {
        for stream in [false, true, true] {
            let mut body = message(stream);
            body["messages"][0]["content"] = PLANTED[2].into();
            let url = format!("http://{}/v1/messages?key={}", serving.address, PLANTED[3]);
            let request = client().post(url).header("x-api-key", PLANTED[0]).header("cookie", PLANTED[4]).bearer_auth(PLANTED[1]);
            request.json(&body).send().await.unwrap().bytes().await.ok();
        }
        crate::support::tunnel::plant(&home, serving.address, upstream.address()).await;
        let target = format!("http://{}/@nobody/{}?token={}", serving.address, "x", PLANTED[3]);
        client().get(target).bearer_auth(PLANTED[1]).send().await.unwrap();
    });
    let token = std::fs::read_to_string(home.paths().token_file()).unwrap();
    let activity = runtime.block_on(async {
        let url = format!("http://{}/_leeward/v1/activity", serving.address);
        client().get(url).bearer_auth(token).send().await.unwrap().text().await.unwrap()
    });
    assert!(activity.contains("\"/v1/messages\"") && activity.contains("claude-test"), "{activity}");
    let shown = activity
        + &home.run(&["status", "--json"]).stdout
        + &home.run(&["stats", "--json"]).stdout
        + &get(serving.address, "/metrics").unwrap();
    crate::home::kill(serving.pid(), "TERM");
    serving.ended();
    let mut seen = shown;
    for folder in [home.paths().state_dir, home.paths().state_dir.join("logs")] {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|e| e.file_type().unwrap().is_file()) {
            seen += &String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap());
        }
    }
    assert!(seen.contains("failed: the response was not valid HTTP"), "the log was written: {seen}");
    let ledger = String::from_utf8_lossy(&std::fs::read(home.paths().ledger_file()).unwrap()).into_owned();
    assert!(ledger.contains("CREATE TABLE fault") && ledger.contains("api-edge"), "a fault is in the ledger");
    assert!(!seen.contains("PLANTED"), "{}", seen.lines().filter(|l| l.contains("PLANTED")).collect::<Vec<_>>().join("\n"));
}

/// From the start of the process to an answer; the median of several, against a bound that a busy machine keeps.
#[test]
fn starting_takes_no_time() {
    let home = Home::new();
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let began = Instant::now();
            let serving = home.serve_by(open_to_us(&home));
            assert!(get(serving.address, "/livez").is_some());
            began.elapsed()
        })
        .collect();
    times.sort();
    println!("started and answered in {:?} (median of 5, debug build)", times[2]);
}

/// L10 without a word from the system: a process that was stopped for longer than five seconds finds out by its clocks.
#[test]
fn l10_a_process_that_stood_still_counts_as_having_slept() {
    let home = Home::new();
    let serving = home.serve_by(open_to_us(&home));
    assert!(get(serving.address, "/health").is_some());
    kill(serving.pid(), "STOP");
    std::thread::sleep(Duration::from_secs(6)); // what is under test is time that passes
    kill(serving.pid(), "CONT");
    until("it notices", || {
        std::fs::read_to_string(home.paths().log_file()).unwrap_or_default().contains("the network changed: the clock jumped")
    });
    assert!(home.status()["status"]["network"]["changes"].as_u64() >= Some(1));
    assert!(get(serving.address, "/health").is_some());
}
