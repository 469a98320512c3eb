//! The real tray: starts without a window, serves, and ends in order. Needs an X display and a session bus:
//! `cargo xtask test tray-test` brings both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Everything here takes well under a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);

struct Tray(Child);

impl Tray {
    fn start(home: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leeward-tray"));
        command.env("LEEWARD_HOME", home).args(["--listen", "127.0.0.1:0"]);
        Self(command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn ended(&mut self) -> ExitStatus {
        until("the tray ends", || self.0.try_wait().unwrap())
    }

    fn said(&mut self) -> String {
        let mut text = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Tray {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn until<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn address(home: &Path) -> SocketAddr {
    until("instance.json names the address", || {
        let record = std::fs::read(home.join("state").join("instance.json")).ok()?;
        let record: serde_json::Value = serde_json::from_slice(&record).ok()?;
        record["address"].as_str()?.parse().ok()
    })
}

fn livez(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(unix)]
#[test]
fn it_serves_without_a_window_and_ends_on_sigterm() {
    use std::os::unix::process::ExitStatusExt;
    let home = tempfile::tempdir().unwrap();
    let mut tray = Tray::start(home.path());
    let address = address(home.path());
    let answer = livez(address).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Tauri is up when the tray answers the signal in order and not by dying of it; before that it may die.
    let log = home.path().join("state").join("logs").join("leeward.log");
    until("the log says the tray is shown", || std::fs::read_to_string(&log).ok()?.contains("the tray is shown").then_some(()));

    let mut second = Tray::start(home.path());
    assert_eq!(second.ended().code(), Some(75), "another Leeward serves from the same folder");
    let said = second.said();
    assert!(said.contains(&format!("already serving on {address}")), "{said}");

    let pid = rustix::process::Pid::from_child(&tray.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = tray.ended();
    assert_eq!((status.code(), status.signal()), (Some(0), None), "{}", tray.said());
    assert!(livez(address).is_err(), "nobody serves any more");
    assert!(!home.path().join("state").join("instance.json").exists(), "the record is gone");
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_display_it_says_so() {
    let home = tempfile::tempdir().unwrap();
    let without = |display: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leeward-tray"));
        command.env("LEEWARD_HOME", home.path()).args(["--listen", "127.0.0.1:0"]);
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").envs(display.map(|d| ("DISPLAY", d)));
        command.output().unwrap()
    };
    for display in [None, Some(":4711")] {
        let output = without(display);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{display:?}: {said}");
        assert!(said.contains("run `leeward serve` instead"), "{display:?}: {said}");
    }
}

#[test]
fn a_wrong_flag_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_leeward-tray")).arg("--lisen").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--listen"), "the nearest one is named");
}

#[test]
fn a_bad_config_is_named() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), "lisen = \"127.0.0.1:0\"\n").unwrap();
    let mut tray = Tray::start(home.path());
    assert_eq!(tray.ended().code(), Some(78));
    let said = tray.said();
    assert!(said.contains("lisen") && said.contains("listen"), "{said}");
}
