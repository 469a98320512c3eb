//! The port is never free while a session uses it (L6): `leeward.exe run` holds a duplicate of the socket (WSADuplicateSocket)
//! while `serve` is ended without a word, and the next one accepts on that very socket.

use crate::{
    process::{LIMIT, Windows, ask, free, until},
    upstream::Upstream,
};
use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::channel,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const KILLS: usize = 20;
/// Together they make a thousand connections a second, less what Wine's server keeps them waiting.
const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(4);
/// A process starts in a second or less under Wine, and this machine may do other things.
const AGAIN_WITHIN: Duration = Duration::from_secs(10);

/// Ends with its test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A Windows program with its lines in both directions.
struct Program {
    child: Ending,
    lines: BufReader<std::process::ChildStdout>,
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child: Ending(child), lines }
    }

    fn says(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.child.0.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

/// Whoever serves from a home, as its record says.
#[derive(Debug, PartialEq)]
struct Recorded {
    pid: u64,
    address: SocketAddr,
}

fn recorded(home: &Path) -> Option<Recorded> {
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(home.join("state/instance.json")).ok()?).ok()?;
    Some(Recorded { pid: written["pid"].as_u64()?, address: written["address"].as_str()?.parse().ok()? })
}

fn answers(address: SocketAddr) -> bool {
    ask(address, "GET /livez HTTP/1.1", "", "").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Clients that connect and go, until they are told to stop; how many connected, were refused, failed otherwise.
struct Clients {
    stop: Arc<AtomicBool>,
    counts: Arc<[AtomicU64; 3]>,
    threads: Vec<JoinHandle<()>>,
    begun: Instant,
}

impl Clients {
    fn start(address: SocketAddr) -> Self {
        let (stop, counts): (Arc<AtomicBool>, Arc<[AtomicU64; 3]>) = Default::default();
        let thread = |_| {
            let (stop, counts) = (stop.clone(), counts.clone());
            thread::spawn(move || {
                let [connected, refused, other] = &*counts;
                while !stop.load(Relaxed) {
                    match TcpStream::connect_timeout(&address, LIMIT) {
                        Ok(_) => connected,
                        Err(e) if e.kind() == ErrorKind::ConnectionRefused => refused,
                        Err(_) => other,
                    }
                    .fetch_add(1, Relaxed);
                    thread::sleep(PAUSE);
                }
            })
        };
        Self { threads: (0..CLIENTS).map(thread).collect(), stop, counts, begun: Instant::now() }
    }

    fn end(self) -> ([u64; 3], Duration) {
        self.stop.store(true, Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        ([0, 1, 2].map(|n: usize| self.counts[n].load(Relaxed)), self.begun.elapsed())
    }
}

pub fn killed(windows: &Windows, folder: &Path, upstream: &Upstream) -> String {
    let home = folder.join("held");
    std::fs::create_dir(&home).unwrap();
    let config = format!("listen = '{}'\nupstream = '{}'\n", free(), upstream.url);
    std::fs::write(home.join("config.toml"), config).unwrap();
    let agent = crate::process::path(&windows.agent);
    let mut wrap = Program::start(&mut windows.command(&home, &["run", "--", &agent, "stay"]));
    assert!(wrap.says().contains("runs"));
    let address = recorded(&home).unwrap().address;
    let mut killer = Program::start(&mut windows.do_to(&["end"]));
    let mut stranger = Program::start(&mut windows.do_to(&["bind", &address.port().to_string()]));
    assert_eq!(stranger.says(), "tried");
    let clients = Clients::start(address);
    let mut times: Vec<_> = (0..KILLS)
        .map(|n| {
            let before = recorded(&home).unwrap();
            let killed = Instant::now();
            killer.tell(&before.pid.to_string());
            assert_eq!(killer.says(), "ended", "kill {n} of {before:?}");
            until("it accepts again", || answers(address));
            let took = killed.elapsed();
            assert!(took < AGAIN_WITHIN, "kill {n}: {took:?}");
            let another = |after: &Recorded| after.pid != before.pid;
            until("another one has its record there", || recorded(&home).as_ref().is_some_and(another));
            assert_eq!(recorded(&home).unwrap().address, address);
            took
        })
        .collect();
    let ([connected, refused, other], took) = clients.end();
    // Before its end: what it said until then is all there is.
    stranger.child.0.kill().unwrap();
    let mut said = String::new();
    stranger.lines.read_to_string(&mut said).unwrap();
    let (tried, won) = (100 * (1 + said.matches("tried").count()), said.matches("won").count());
    times.sort();
    let (median, longest) = (times[KILLS / 2], times[KILLS - 1]);
    assert_eq!((refused, other), (0, 0), "of {connected} connections");
    assert!(connected > 0 && tried > KILLS, "{connected} connections, {tried} binds");
    assert_eq!(won, 0, "the port was another program's, {won} of {tried} times");
    drop(wrap.child.0.stdin.take());
    until("the wrap ends as its agent", || wrap.child.0.try_wait().unwrap().is_some_and(|status| status.code() == Some(0)));
    // An IDE's pipe ends with its agent, while Leeward serves on.
    let (tell, ended) = channel();
    let mut lines = wrap.lines;
    let reader = thread::spawn(move || tell.send(lines.read_to_string(&mut String::new()).unwrap()).ok());
    ended.recv_timeout(AGAIN_WITHIN).expect("`serve` has not kept the pipe of whoever started it");
    assert!(answers(address));
    assert_eq!(windows.run(&home, &["stop"]).0, Some(0));
    reader.join().unwrap();
    let rate = connected as f64 / took.as_secs_f64();
    println!("accepts again after {times:.0?}");
    format!(
        "{KILLS} kills, {connected} connections ({rate:.0}/s), 0 refused; {tried} binds, 0 won; accepts again after {median:.0?} (median; {longest:.0?} at most)"
    )
}
