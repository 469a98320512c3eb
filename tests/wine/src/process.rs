//! Windows programs as Linux processes: paths, starts, answers.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Wine starts in a second or two; nothing here takes this long on a machine that works at all.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The build, and what runs it.
pub struct Windows {
    pub wine: PathBuf,
    pub exe: PathBuf,
    /// A program that `wrap` starts: ci/console.c.
    pub agent: PathBuf,
    /// An installer with Leeward's hooks: ci/installer.nsi.
    pub setup: PathBuf,
}

impl Windows {
    /// `leeward.exe` with a home of its own.
    pub fn command(&self, home: &Path, args: &[&str]) -> Command {
        self.command_of(&self.exe, home, args)
    }

    /// The same with another program.
    pub fn command_of(&self, program: &Path, home: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.wine);
        command.arg(program).args(args).env("LEEWARD_HOME", path(home)).stdin(Stdio::null());
        command
    }

    /// The same for a console.
    pub fn console_command(&self, home: &Path, args: &[&str]) -> portable_pty::CommandBuilder {
        let mut command = portable_pty::CommandBuilder::new(&self.wine);
        command.arg(&self.exe);
        command.args(args);
        command.env("LEEWARD_HOME", path(home));
        command
    }

    /// The agent, asked to do something to another program: see ci/console.c.
    pub fn do_to(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.wine);
        command.arg(&self.agent).args(words);
        command
    }

    /// What it says and how it ends.
    pub fn run(&self, home: &Path, args: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.command(home, args).output().unwrap();
        (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
    }

    /// `leeward.exe serve`, once it says that it accepts.
    pub fn serve(&self, home: &Path, args: &[&str]) -> Serving {
        self.serve_of(&self.exe, home, args)
    }

    /// The same with another program.
    pub fn serve_of(&self, program: &Path, home: &Path, args: &[&str]) -> Serving {
        let mut command = self.command_of(program, home, &["serve"]);
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("leeward is accepting on http://");
        let address = address.unwrap_or_else(|| panic!("serve said {line:?}")).parse().unwrap();
        Serving { child, address, home: home.to_owned() }
    }
}

/// An address where nobody listens.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// As a Windows program names it: Wine's drive Z is the root of all.
pub fn path(path: &Path) -> String {
    format!("Z:{}", path.to_str().unwrap().replace('/', "\\"))
}

/// A server; ends with its test.
pub struct Serving {
    pub child: Child,
    pub address: SocketAddr,
    home: PathBuf,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Serving {
    /// Its exit code, once it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        until("it ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    /// `GET /health` on a new connection.
    pub fn health(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&body(&self.ask("GET /health HTTP/1.1", "", "").ok()?)?).ok()
    }

    /// A control request; the answer whole.
    pub fn control(&self, path: &str, json: &str) -> String {
        let token = std::fs::read_to_string(self.home.join("state").join("control.token")).unwrap();
        let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", token.trim());
        self.ask(&format!("POST /_leeward/v1/{path} HTTP/1.1"), &headers, json).unwrap()
    }

    /// A request on a new connection; the answer whole.
    pub fn ask(&self, line: &str, headers: &str, body: &str) -> std::io::Result<String> {
        ask(self.address, line, headers, body)
    }
}

/// A request on a new connection; the answer whole.
pub fn ask(address: SocketAddr, line: &str, headers: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let head = format!("{line}\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn body(answer: &str) -> Option<String> {
    answer.starts_with("HTTP/1.1 200").then_some(())?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

/// Waits for a condition; fails with its name when it does not come true.
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    within(LIMIT, what, condition);
}

/// The same with a limit of its own.
pub fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
