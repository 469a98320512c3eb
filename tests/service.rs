//! `leeward service` under a real systemd user manager, in a mount and PID namespace of its own: nobody is refused by kills, ends
//! and take-overs, and what is installed is removed. Linux only, and only as root with systemd's programs; elsewhere each
//! test says `SKIP` and why.

#![cfg(target_os = "linux")]

use crate::{
    home::{Home, LEEWARD, LIMIT, Running, get, until},
    takeover::{DRAIN, hooks},
};
use leeward::{
    config::{Config, Flags, Settings},
    health::unix_ms,
    instance::{Record, TakeOver, read_record, take_over, write_record},
    supervisor::{Engine, EngineOptions},
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const SYSTEMD: &str = "/lib/systemd/systemd";

/// The namespace: a cgroup of its own, an empty /run but for what systemd looks for, and a shell as its first process, since
/// a user manager is none. What ends it ends all of it.
const NAMESPACE: &str = r#"
set -e
mount --make-rprivate /
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
group=/sys/fs/cgroup/leeward-test-$$
mkdir "$group"
trap 'find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null' EXIT
mount -t tmpfs none /run
mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"
export group
unshare -p -f --mount-proc sh -c 'echo $$ > "$group/cgroup.procs"; exec sh'
"#;

/// A user manager and the shell beside it.
struct Manager {
    home: Home,
    shell: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Manager {
    /// `None` where there cannot be one.
    fn start(test: &str) -> Option<Self> {
        let skip = |why: &str| {
            // Past the test harness's capture, which shows nothing of a test that passes.
            std::io::stderr().write_all(format!("SKIP {test}: {why}\n").as_bytes()).ok();
            None
        };
        if !rustix::process::geteuid().is_root() {
            return skip("only root makes such a namespace");
        }
        if !std::path::Path::new(SYSTEMD).exists() {
            return skip("there is no systemd");
        }
        let home = Home::new();
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", NAMESPACE]).env_clear().envs(home.environment());
        command.env("XDG_RUNTIME_DIR", "/run/user/0").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut shell = command.spawn().unwrap();
        let (stdin, stdout) = (shell.stdin.take(), BufReader::new(shell.stdout.take().unwrap()));
        let mut manager = Self { home, shell, stdin, stdout };
        match manager.try_run(&format!("{SYSTEMD} --user >/dev/null 2>&1 &")) {
            Some((0, _)) => {}
            _ => {
                let mut said = String::new();
                manager.shell.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                return skip(&format!("no namespace: {}", said.trim()));
            }
        }
        until("the manager runs", || manager.run("systemctl --user is-system-running").1 == "running");
        Some(manager)
    }

    /// Exit code and everything that was said.
    fn try_run(&mut self, command: &str) -> Option<(i32, String)> {
        writeln!(self.stdin.as_mut()?, "{{ {command}\n}} 2>&1 </dev/null; echo \"\nended $?\"").ok()?;
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.strip_prefix("ended ") {
                Some(code) => return Some((code.trim().parse().unwrap(), said.trim().to_owned())),
                None => said.push_str(&line),
            }
        }
    }

    fn run(&mut self, command: &str) -> (i32, String) {
        self.try_run(command).expect("the namespace has ended")
    }

    /// `leeward` in the namespace.
    fn leeward(&mut self, args: &str) -> (i32, String) {
        self.run(&format!("{LEEWARD} {args}"))
    }

    fn good(&mut self, args: &str) -> String {
        let (code, said) = self.leeward(args);
        assert_eq!(code, 0, "leeward {args}: {said}");
        said
    }

    fn status(&mut self) -> Value {
        let (_, said) = self.leeward("service status --json");
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
    }

    fn property(&mut self, unit: &str, property: &str) -> String {
        self.run(&format!("systemctl --user show --value --property={property} {unit}")).1
    }

    /// Kills whoever serves under the manager.
    fn kill(&mut self) -> String {
        let pid = self.property("leeward.service", "MainPID");
        assert_ne!(pid, "0");
        self.run(&format!("kill -KILL {pid}"));
        pid
    }

    fn units(&self) -> Vec<String> {
        let folder = self.home.path(".config/systemd/user");
        let (mut found, mut folders) = (Vec::new(), vec![folder.clone()]);
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => found.push(entry.path().strip_prefix(&folder).unwrap().display().to_string()),
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // The shell ends with its input, the namespace with the shell.
        drop(self.stdin.take());
        self.shell.wait().ok();
    }
}

fn answers(address: SocketAddr) -> bool {
    get(address, "/livez").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// The number of the process that answers, as it sees itself.
fn pid_at(address: SocketAddr) -> Option<u64> {
    let health = get(address, "/health")?;
    let body = health.split("\r\n\r\n").nth(1)?;
    serde_json::from_str::<Value>(body).ok()?["pid"].as_u64()
}

/// Connections in a loop, each with a request: connected and answered, refused, and what else went wrong.
struct Load {
    stop: Arc<AtomicBool>,
    counts: Arc<[AtomicU64; 3]>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(address: SocketAddr) -> Self {
        let (stop, counts): (Arc<AtomicBool>, Arc<[AtomicU64; 3]>) = Default::default();
        let thread = |_| {
            let (stop, counts) = (stop.clone(), counts.clone());
            thread::spawn(move || {
                while !stop.load(Relaxed) {
                    let [answered, refused, other] = &*counts;
                    match asked(address) {
                        Ok(true) => answered,
                        Err(ErrorKind::ConnectionRefused) => refused,
                        // A killed process resets what it was answering.
                        Ok(false) | Err(_) => other,
                    }
                    .fetch_add(1, Relaxed);
                    thread::sleep(Duration::from_millis(2));
                }
            })
        };
        let threads = (0..4).map(thread).collect();
        Self { stop, counts, threads }
    }

    /// Answered, refused, other.
    fn end(self) -> [u64; 3] {
        self.stop.store(true, Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        [0, 1, 2].map(|n: usize| self.counts[n].load(Relaxed))
    }
}

fn asked(address: SocketAddr) -> Result<bool, ErrorKind> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT).map_err(|e| e.kind())?;
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let sent = write!(stream, "GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    Ok(sent.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200"))
}

#[test]
fn what_is_installed_is_served_held_and_removed() {
    const KILLS: usize = 20;
    let Some(mut manager) = Manager::start("what_is_installed_is_served_held_and_removed") else { return };
    let address = manager.home.address;
    assert_eq!((manager.leeward("service status").0, manager.units().len()), (69, 0));
    let installed: Value = serde_json::from_str(&manager.good("service install --json")).unwrap();
    assert_eq!((&installed["held"], &installed["listen"]), (&true.into(), &address.to_string().into()), "{installed}");
    assert!(answers(address));
    let files =
        ["default.target.wants/leeward.service", "leeward.service", "leeward.socket", "sockets.target.wants/leeward.socket"];
    assert_eq!(manager.units(), files);
    let folder = manager.home.path(".config/systemd/user");
    let verify =
        format!("systemd-analyze --user --recursive-errors=no verify {0}/leeward.socket {0}/leeward.service", folder.display());
    assert_eq!(manager.run(&verify), (0, String::new()));

    // Again: the same process serves on.
    let pid = manager.property("leeward.service", "MainPID");
    manager.good("service install");
    assert_eq!(manager.property("leeward.service", "MainPID"), pid);
    let status = manager.status();
    for (name, value) in
        [("installed", Value::from("yes")), ("active", true.into()), ("enabled", true.into()), ("listening", true.into())]
    {
        assert_eq!(status[name], value, "{status:#}");
    }
    assert_eq!(
        (&status["held"], &status["serving"], &status["drift"]),
        (&installed["listen"], &installed["listen"], &serde_json::json!([]))
    );
    let said = manager.property("leeward.service", "StatusText");
    assert_eq!(said, format!("accepting on http://{address}"));

    // Its reload is a new generation in the same process.
    assert_eq!(manager.run("systemctl --user reload leeward.service"), (0, String::new()));
    assert_eq!(manager.property("leeward.service", "MainPID"), pid);
    assert!(manager.good("status").contains("generation 2"));

    // Killed again and again, it is back, and nobody is refused meanwhile.
    let load = Load::on(address);
    let mut times = Vec::new();
    for _ in 0..KILLS {
        let before = manager.kill();
        let killed = Instant::now();
        until("it serves again", || asked(address) == Ok(true));
        times.push(killed.elapsed());
        until("it is another one", || !["0", &before].contains(&manager.property("leeward.service", "MainPID").as_str()));
    }
    let [answered, refused, other] = load.end();
    times.sort();
    println!(
        "{KILLS} kills: {answered} answered, {refused} refused, {other} otherwise; again after {:?} (median), {:?} (longest)",
        times[KILLS / 2],
        times[KILLS - 1]
    );
    assert!(refused == 0 && answered > 0 && other <= 4 * KILLS as u64);
    assert_eq!(manager.property("leeward.socket", "ActiveState"), "active");

    // Ended on purpose, and by a system that goes down: the port stays, and the next connection starts it.
    let said = manager.good("stop");
    assert!(said.contains("the service starts it again"), "{said}");
    assert!(answers(address));
    manager.run("systemctl --user stop leeward.service");
    assert_eq!(manager.property("leeward.service", "ActiveState"), "inactive");
    assert!(answers(address));

    // A program that would start one of its own finds the port held, and goes on with the service's.
    manager.run("systemctl --user stop leeward.service");
    manager.good("run -- true");
    let record = read_record(&manager.home.paths()).unwrap();
    assert_eq!((record.address, manager.property("leeward.service", "MainPID")), (address, record.pid.to_string()));

    // Another port in the config is seen, and taken by the next install.
    let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    manager.home.address = other;
    manager.home.configure("");
    let status = manager.status();
    assert!(status["drift"][0].as_str().is_some_and(|drift| drift.contains(&other.to_string())), "{status:#}");
    manager.good("service install");
    assert!(answers(other) && manager.status()["held"] == other.to_string());
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);

    // Half of it is gone: that is seen and mended; a file of somebody else's is left alone.
    std::fs::remove_file(folder.join("leeward.service")).unwrap();
    assert_eq!(manager.status()["installed"], "partly");
    manager.good("service install");
    assert_eq!(manager.status()["installed"], "yes");
    std::fs::remove_file(folder.join("leeward.socket")).unwrap();
    manager.good("service uninstall");
    assert_eq!(manager.units(), [""; 0], "a half is removed whole");
    assert_eq!(TcpStream::connect(other).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(manager.good("service uninstall").contains("no service to remove"));
    std::fs::write(folder.join("leeward.service"), "[Service]\nExecStart=/bin/true\n").unwrap();
    for command in ["service install", "service uninstall"] {
        let (code, said) = manager.leeward(command);
        assert!(code == 73 && said.contains("stays as it is"), "{command}: {code} {said}");
    }
    assert_eq!(manager.units(), ["leeward.service"]);
}

/// The tray, played by an engine of this process: it takes the socket over, and the service comes back when it ends.
#[test]
fn the_service_stands_by_beside_the_tray_and_comes_back() {
    let Some(mut manager) = Manager::start("the_service_stands_by_beside_the_tray_and_comes_back") else { return };
    let (address, paths) = (manager.home.address, manager.home.paths());
    manager.good("service install");
    let load = Load::on(address);
    for round in 0..2 {
        until("the service serves", || manager.property("leeward.service", "StatusText").starts_with("accepting"));
        let served = read_record(&paths).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let taken = match runtime.block_on(take_over(&paths, &served, None, DRAIN)).unwrap() {
            TakeOver::Taken(taken) => taken,
            TakeOver::Shown => panic!("it has no window"),
        };
        let settings = Settings::new(Flags { config_file: Some(paths.config_file.clone()), ..Flags::default() });
        let config = Config { paths: paths.clone(), listen: address, ..Config::under(&manager.home.path("leeward")).unwrap() };
        let host = EngineOptions::of(Arc::new(settings)).holding(taken.lock).inheriting(Some(taken.listener));
        let engine = Engine::start_with(config, host, hooks()).unwrap();
        let record = Record { pid: std::process::id(), address, version: "test".into(), started_unix_ms: unix_ms() };
        write_record(&paths, &record).unwrap();
        taken.confirmation.unwrap().confirm().unwrap();
        until("the service stands by", || manager.property("leeward.service", "StatusText").starts_with("standing by"));
        let since = Instant::now();
        until("it stays so", || {
            assert_eq!(pid_at(address), Some(std::process::id().into()), "the tray serves");
            assert_eq!(manager.property("leeward.service", "ActiveState"), "active");
            since.elapsed() > Duration::from_secs(2)
        });
        assert_eq!(manager.property("leeward.service", "NRestarts"), "0", "round {round}");
        leeward::instance::remove_record(&paths);
        let ended = Instant::now();
        engine.stop(DRAIN);
        until("the service is back", || pid_at(address).is_some_and(|pid| pid != u64::from(std::process::id())));
        println!("round {round}: back after {:?}", ended.elapsed());
    }
    let [answered, refused, other] = load.end();
    println!("{answered} answered, {refused} refused, {other} otherwise");
    assert!((refused, other) == (0, 0) && answered > 0);
    manager.good("service uninstall");
}

/// A process that hangs is replaced by the manager's own clock, and one that lives is not.
#[test]
fn a_watchdog_is_fed_and_replaces_what_hangs() {
    let Some(mut manager) = Manager::start("a_watchdog_is_fed_and_replaces_what_hangs") else { return };
    let address = manager.home.address;
    // One in the background that nobody uses makes room.
    manager.good("run -- true");
    assert!(answers(address));
    let installed = manager.good("service install");
    assert!(installed.contains(&format!("and holds {address}")), "{installed}");
    let folder = manager.home.path(".config/systemd/user/leeward.service.d");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("test.conf"), "[Service]\nWatchdogSec=1s\n").unwrap();
    manager.run("systemctl --user daemon-reload && systemctl --user restart leeward.service");
    let since = Instant::now();
    until("three limits have passed", || {
        assert_eq!(asked(address), Ok(true));
        since.elapsed() > Duration::from_secs(3)
    });
    assert_eq!(manager.property("leeward.service", "NRestarts"), "0");
    let pid = manager.property("leeward.service", "MainPID");
    manager.run(&format!("kill -STOP {pid}; until grep -q '^State:.T' /proc/{pid}/status; do sleep 0.01; done"));
    assert_eq!(asked(address), Ok(true), "who connects meanwhile waits");
    assert_eq!(manager.property("leeward.service", "NRestarts"), "1");
}

#[test]
fn a_machine_without_a_manager_is_told_what_to_do_and_nothing_is_written() {
    let home = Home::new();
    let nowhere = home.path("nowhere");
    std::fs::create_dir(&nowhere).unwrap();
    let run = |args: &[&str]| {
        let output = home.command(args).env("XDG_RUNTIME_DIR", &nowhere).output().unwrap();
        crate::home::Ran::from(output)
    };
    let ran = run(&["service", "install"]);
    assert!(ran.code == Some(69) && ran.stderr.contains("nothing was written. Instead, start `leeward serve`"), "{ran:?}");
    assert!(!home.path(".config").exists());
    let ran = run(&["service", "status", "--json"]);
    let status: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(ran.code == Some(69) && status["unavailable"].is_string() && status["installed"] == "no", "{ran:?}");
    assert_eq!(run(&["service", "uninstall"]).code, Some(0));
    // What an install of another day has left is removed without a manager, too.
    let units = home.path(".config/systemd/user");
    std::fs::create_dir_all(units.join("sockets.target.wants")).unwrap();
    std::fs::write(
        units.join("leeward.socket"),
        "# Written by `leeward service install`; `leeward service uninstall` removes it.\n",
    )
    .unwrap();
    std::os::unix::fs::symlink(units.join("leeward.socket"), units.join("sockets.target.wants/leeward.socket")).unwrap();
    let ran = run(&["service", "uninstall"]);
    assert!(ran.code == Some(0) && ran.stdout.matches("removed ").count() == 2, "{ran:?}");
    assert!(!units.join("leeward.socket").exists() && !units.join("sockets.target.wants/leeward.socket").is_symlink());
}

/// systemd's own program for trying it out: the connection that starts it is served, and it ends when nobody uses it.
#[test]
fn the_connection_that_activates_it_is_served_and_it_ends_when_idle() {
    let home = Home::new();
    let address = home.address.to_string();
    let mut command = home.command_of("systemd-socket-activate".as_ref(), &["-l", &address, "-E", "HOME", "-E", "LEEWARD_HOME"]);
    command.args([LEEWARD, "serve", "--exit-when-idle", "300ms"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut activated = match command.spawn() {
        Ok(child) => Running(child),
        Err(e) => return println!("SKIP: systemd-socket-activate: {e}"),
    };
    let mut stream = None;
    until("it listens", || {
        stream = TcpStream::connect(home.address).ok();
        stream.is_some()
    });
    let mut stream = stream.unwrap();
    write!(stream, "GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(activated.ended(), Some(0), "nobody used it");
}

/// Two serve from one folder: the second waits instead of failing, and ends when it is told to.
#[test]
fn one_that_stands_by_serves_when_the_first_ends() {
    let home = Home::new();
    let mut first = home.serve(&[]);
    let standing = |home: &Home| {
        let mut child = home.command(&["serve", "--stand-by"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert!(said.contains(&format!("another Leeward serves on {}", home.address)), "{said}");
        Running(child)
    };
    let mut told = standing(&home);
    crate::home::kill(told.pid(), "TERM");
    assert_eq!(told.ended(), Some(0));
    let mut second = standing(&home);
    home.configure("client_token = \"a-token-that-came-later\"");
    crate::home::kill(first.pid(), "TERM");
    assert_eq!(first.ended(), Some(0));
    let mut line = String::new();
    BufReader::new(second.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), format!("leeward is accepting on http://{}", home.address));
    assert!(get(home.address, "/health").unwrap().starts_with("HTTP/1.1 401"), "the config is read again");
}
