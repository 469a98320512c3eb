//! A home of its own for the built `leeward`: files, a free port, agents that record what they see. Whatever serves
//! from it ends with it.

use leeward::{
    config::Paths,
    instance::{Record, read_record},
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// No wait of these tests takes longer on a machine that works at all.
pub const LIMIT: Duration = Duration::from_secs(30);

pub const LEEWARD: &str = env!("CARGO_BIN_EXE_leeward");

pub struct Home {
    folder: tempfile::TempDir,
    pub address: SocketAddr,
}

impl Home {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let home = Self { folder, address };
        std::fs::create_dir_all(home.path("bin")).unwrap();
        std::fs::create_dir_all(home.path("work")).unwrap();
        home.configure("");
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn paths(&self) -> Paths {
        Paths::under(&self.path("leeward"))
    }

    /// Writes the config file: the free port, and what is given.
    pub fn configure(&self, text: &str) {
        std::fs::create_dir_all(self.path("leeward")).unwrap();
        std::fs::write(self.paths().config_file, format!("listen = \"{}\"\n{text}", self.address)).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// `leeward` with arguments, in an environment that knows nothing of the machine's own agents.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(LEEWARD.as_ref(), args)
    }

    /// The same with a copy of the program.
    pub fn command_of(&self, program: &std::path::Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().current_dir(self.path("work")).stdin(Stdio::null());
        command.envs(self.environment());
        command
    }

    pub fn environment(&self) -> Vec<(&'static str, std::ffi::OsString)> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::iter::once(self.path("bin")).chain(std::env::split_paths(&path));
        let mut vars = vec![
            ("PATH", std::env::join_paths(dirs).unwrap()),
            ("HOME", self.path("").into()),
            ("LEEWARD_HOME", self.path("leeward").into()),
            ("OUT", self.path("").into()),
        ];
        // Windows programs do not start without these.
        for name in ["SystemRoot", "USERPROFILE", "TEMP"] {
            vars.extend(std::env::var_os(name).map(|value| (name, value)));
        }
        vars
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    /// `leeward serve`, once it says that it accepts.
    pub fn serve(&self, args: &[&str]) -> Serving {
        let mut command = self.command(&["serve"]);
        command.args(args);
        self.serve_by(command)
    }

    /// As `serve`, by this command.
    pub fn serve_by(&self, mut command: Command) -> Serving {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("leeward is accepting on http://") else {
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            panic!("serve said {line:?} and {stderr:?}");
        };
        // Its log goes there, and must not fill the pipe.
        let mut stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Serving { address: address.parse().unwrap(), child, stdout }
    }

    pub fn record(&self) -> Option<Record> {
        read_record(&self.paths())
    }

    /// Puts an executable shell script into PATH.
    #[cfg(unix)]
    pub fn agent(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let file = self.path("bin").join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.run(&["status", "--json"]).stdout).unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(record) = self.record()
            && record.pid != std::process::id()
            && get(record.address, "/health").is_some_and(|health| health.contains(&format!("\"pid\":{}", record.pid)))
        {
            kill(record.pid, "KILL");
        }
        // Those that have no record, or a network of their own.
        for pid in programs_of(&self.path("leeward")) {
            kill(pid, "KILL");
        }
    }
}

/// The Leewards whose home this folder is.
#[cfg(target_os = "linux")]
fn programs_of(home: &std::path::Path) -> Vec<u32> {
    let variable = format!("LEEWARD_HOME={}", home.display());
    let is_its = |pid: &u32| {
        let is_leeward = std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == std::path::Path::new(LEEWARD));
        let variables = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        is_leeward && variables.split(|byte| *byte == 0).any(|one| one == variable.as_bytes())
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    all.filter(is_its).collect()
}

/// Elsewhere only the recorded one is known.
#[cfg(not(target_os = "linux"))]
fn programs_of(_home: &std::path::Path) -> Vec<u32> {
    Vec::new()
}

/// A port that was free a moment ago; whoever takes it meanwhile makes Leeward use another one, which tests follow.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub struct Serving {
    pub address: SocketAddr,
    pub child: Child,
    pub stdout: BufReader<ChildStdout>,
}

impl Serving {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The exit code, once it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        wait(&mut self.child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A program that runs beside the test, and is told to end with it.
pub struct Running(pub Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The exit code, once it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        wait(&mut self.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Politely first: a wrap passes it on to its agent.
        let until = Instant::now() + Duration::from_secs(3);
        while self.0.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < until {
            kill(self.pid(), "TERM");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What a finished command left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Waits for a child within the limit.
pub fn wait(child: &mut Child) -> Option<i32> {
    let mut status = None;
    until("the program ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap().code()
}

/// Waits for a condition; fails with its name when it does not come true.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal by name; on Windows, which has none, ends the process.
pub fn kill(pid: u32, signal: &str) {
    let mut command = if cfg!(windows) { Command::new("taskkill") } else { Command::new("kill") };
    match cfg!(windows) {
        true => command.args(["/F", "/PID", &pid.to_string()]),
        false => command.args([format!("-{signal}"), pid.to_string()]),
    };
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.is_ok(), "there is no program that ends processes");
}

/// Whether this process was started to ignore the signal (`nohup`): so are its children, and so it stays in their agents.
#[cfg(unix)]
pub fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default().trim();
    u64::from_str_radix(ignored, 16).unwrap_or(0) >> (signal - 1) & 1 == 1
}

/// GET over a connection of its own: the whole answer, or nothing.
pub fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The lines of a file that an agent wrote, as NAME=VALUE.
pub fn variable(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}
