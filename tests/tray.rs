//! The real tray: starts without a window, serves, and ends in order. Needs an X display and a session bus:
//! `cargo xtask test tray-test` brings both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

#[cfg(target_os = "linux")]
#[path = "tray/host.rs"]
mod host;

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
        Self::start_with(home, &[])
    }

    fn start_with(home: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leeward-tray"));
        command.env("LEEWARD_HOME", home).args(["--listen", "127.0.0.1:0"]).envs(variables.iter().copied());
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
    get(address, "/livez")
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
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

/// All of it on one icon: the session bus has room for one host.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_menu_is_read_and_clicked_over_the_bus() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let programs = tempfile::tempdir().unwrap();
    let note = home.path().join("launched");
    // A terminal that notes what it is told to run, and an agent that is only there.
    for (name, script) in [
        (
            "xdg-terminal-exec",
            format!("#!/bin/sh\n{{ pwd; printf '%s\\n' \"$@\"; }} > '{0}.new'; mv '{0}.new' '{0}'\n", note.display()),
        ),
        ("claude", "#!/bin/sh\necho '2.1.329 (Claude Code)'\n".to_owned()),
    ] {
        let path = programs.path().join(name);
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let host = host::Host::start().await;
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    let mut tray = Tray::start_with(home.path(), &[("PATH", path.as_str()), ("HOME", home.path().to_str().unwrap())]);
    let address = address(home.path());
    let icon = tokio::time::timeout(LIMIT, host.icon_of(tray.0.id())).await.expect("the icon is registered");
    assert!(std::path::Path::new(&format!("{}.png", icon.picture().await.trim_end_matches(".png"))).exists());

    let said = |lines: &[host::Line]| lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    eventually("it accepts", async || icon.menu().await[0].text == format!("Accepting on {address}, all is well")).await;
    let menu = icon.menu().await;
    assert_eq!(said(&menu)[1..], ["", "Restart", "Launch", "", "Open panel", "Logs", "", "Quit"]);
    assert!(!menu[0].enabled && menu[2].enabled);
    assert_eq!(said(&menu[3].lines), ["Claude Code", "", "Choose…"], "the agents that are installed");

    icon.click("Restart").await;
    let generation = || {
        let answer = get(address, "/health").unwrap();
        let health: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        health["generation"].as_u64().unwrap()
    };
    until("a new generation serves", || (generation() == 2).then_some(()));

    icon.click("Claude Code").await;
    let told = until("the terminal was started", || std::fs::read_to_string(&note).ok());
    let leeward = Path::new(env!("CARGO_BIN_EXE_leeward-tray")).with_file_name("leeward");
    let words: Vec<_> = told.lines().collect();
    assert_eq!(words, [home.path().to_str().unwrap(), leeward.to_str().unwrap(), "wrap", "claude"]);

    icon.click("Quit").await;
    assert_eq!(tray.ended().code(), Some(0), "{}", tray.said());
    assert!(livez(address).is_err(), "nobody serves any more");
}

#[cfg(target_os = "linux")]
async fn eventually(what: &str, mut there: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !there().await {
        assert!(Instant::now() < end, "{what}: not within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
