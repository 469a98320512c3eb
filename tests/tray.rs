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
#[cfg(target_os = "linux")]
#[path = "tray/session.rs"]
mod session;
#[cfg(target_os = "linux")]
#[path = "tray/window.rs"]
mod window;

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
        let mut command = Self::command(home);
        command.args(["--listen", "127.0.0.1:0"]).envs(variables.iter().copied());
        Self::by(command)
    }

    /// Of a home that a tray was started from before: no window opens by itself.
    fn command(home: &Path) -> Command {
        welcomed(home);
        Self::first_command(home)
    }

    fn first_command(home: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leeward-tray"));
        command.env("LEEWARD_HOME", home).env("XDG_CONFIG_HOME", home.join("config"));
        command
    }

    fn by(mut command: Command) -> Self {
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

/// What the first start leaves.
fn welcomed(home: &Path) {
    std::fs::create_dir_all(home.join("state")).unwrap();
    std::fs::write(home.join("state").join("welcomed"), "").unwrap();
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
    until("instance.json names the address", || recorded(home))
}

fn recorded(home: &Path) -> Option<SocketAddr> {
    let record = std::fs::read(home.join("state").join("instance.json")).ok()?;
    let record: serde_json::Value = serde_json::from_slice(&record).ok()?;
    record["address"].as_str()?.parse().ok()
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

    let mut elsewhere = Command::new(env!("CARGO_BIN_EXE_leeward-tray"));
    elsewhere.env("LEEWARD_HOME", home.path()).args(["--listen", "127.0.0.1:1"]);
    let output = elsewhere.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains(&format!("already serving on {address}")) && said.contains("without --listen"), "{said}");

    let pid = rustix::process::Pid::from_child(&tray.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = tray.ended();
    assert_eq!((status.code(), status.signal()), (Some(0), None), "{}", tray.said());
    assert!(livez(address).is_err(), "nobody serves any more");
    assert!(!home.path().join("state").join("instance.json").exists(), "the record is gone");
}

/// Quit while an agent runs: its wrap has the port and starts a Leeward in the background; nobody is refused meanwhile.
#[cfg(unix)]
#[test]
fn quitting_leaves_agents_a_leeward_in_the_background() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let leeward = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leeward"));
        command.args(args).env("LEEWARD_HOME", home.path()).current_dir(home.path()).stdin(Stdio::null());
        command
    };
    let mut tray = Tray::start(home.path());
    let address = address(home.path());
    let agent = home.path().join("agent");
    let script = format!("#!/bin/sh\ncd {}; echo > ready; while [ ! -e done ]; do sleep 0.02; done\n", home.path().display());
    std::fs::write(&agent, script).unwrap();
    std::fs::set_permissions(&agent, PermissionsExt::from_mode(0o755)).unwrap();
    let mut wrap = leeward(&["run", "--", agent.to_str().unwrap()]).spawn().unwrap();
    until("the agent runs", || home.path().join("ready").exists().then_some(()));
    let log = home.path().join("state").join("logs").join("leeward.log");
    until("the tray is shown", || std::fs::read_to_string(&log).ok()?.contains("the tray is shown").then_some(()));
    let served_by = || -> Option<u64> {
        let record = std::fs::read(home.path().join("state").join("instance.json")).ok()?;
        serde_json::from_slice::<serde_json::Value>(&record).ok()?["pid"].as_u64()
    };
    let before = served_by().unwrap();
    let pid = rustix::process::Pid::from_child(&tray.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(tray.ended().code(), Some(0), "{}", tray.said());
    TcpStream::connect(address).expect("nobody is refused");
    until("another Leeward serves", || served_by().filter(|pid| *pid != before));
    assert!(livez(address).unwrap().starts_with("HTTP/1.1 200"));
    std::fs::write(home.path().join("done"), "").unwrap();
    assert_eq!(wrap.wait().unwrap().code(), Some(0));
    assert!(leeward(&["stop"]).output().unwrap().status.success());
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

#[cfg(unix)]
#[test]
fn a_state_folder_that_others_write_to_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), "lisen = \"127.0.0.1:0\"\n").unwrap();
    std::fs::create_dir(home.path().join("state")).unwrap();
    std::fs::set_permissions(home.path().join("state"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut tray = Tray::start(home.path());
    assert_eq!(tray.ended().code(), Some(78));
    let said = tray.said();
    assert!(said.contains("chmod go-w"), "{said}");
}

/// The session bus has room for one host.
#[cfg(target_os = "linux")]
static BUS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_menu_is_read_and_clicked_over_the_bus() {
    let home = tempfile::tempdir().unwrap();
    let programs = tempfile::tempdir().unwrap();
    let note = home.path().join("launched");
    // A terminal that notes what it is told to run, and an agent that is only there.
    for (name, text) in [
        (
            "xdg-terminal-exec",
            format!("#!/bin/sh\n{{ pwd; printf '%s\\n' \"$@\"; }} > '{0}.new'; mv '{0}.new' '{0}'\n", note.display()),
        ),
        ("claude", "#!/bin/sh\necho '2.1.329 (Claude Code)'\n".to_owned()),
    ] {
        script(&programs.path().join(name), &text);
    }
    let _bus = BUS.lock().await;
    let host = host::Host::start().await;
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    let mut tray = Tray::start_with(home.path(), &[("PATH", path.as_str()), ("HOME", home.path().to_str().unwrap())]);
    let address = address(home.path());
    let icon = tokio::time::timeout(LIMIT, host.icon_of(tray.0.id())).await.expect("the icon is registered");
    eventually("its picture is a file", async || {
        let picture = icon.picture().await;
        Path::new(&picture).exists() || Path::new(&format!("{picture}.png")).exists()
    })
    .await;

    let said = |lines: &[host::Line]| lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    eventually("it accepts", async || icon.menu().await[0].text.starts_with(&format!("Ready on {address}"))).await;
    let menu = icon.menu().await;
    assert_eq!(
        said(&menu)[1..],
        ["", "Restart", "Launch", "Copy environment", "", "Open panel", "Logs", "", "Start at login", "Quit"]
    );
    assert!(menu[0].enabled && menu[2].enabled, "what is the matter opens the panel");
    assert_eq!(said(&menu[3].lines), ["In ~", "Claude Code", "", "Choose…"], "the agents that are installed, and where");
    // Another one comes while the tray runs, and the menu is not the one of its start.
    std::fs::copy(programs.path().join("claude"), programs.path().join("codex")).unwrap();
    eventually("the new one is there", async || {
        let menu = icon.menu().await;
        menu.iter().any(|line| said(&line.lines) == ["In ~", "Claude Code", "Codex CLI", "", "Choose…"])
    })
    .await;

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
    assert_eq!(words, [home.path().to_str().unwrap(), leeward.to_str().unwrap(), "wrap", "--hold", "claude"]);

    let pid = tray.0.id();
    let page = |all: &[(String, u64)]| all.iter().any(|(name, _)| name.starts_with("WebKitWebProc"));
    icon.click("Open panel").await;
    // A page that is loaded takes some 200 MiB.
    let loaded = |all: &[(String, u64)]| all.iter().any(|(name, kib)| name.starts_with("WebKitWebProc") && *kib > 120_000);
    let with_window = eventually_some("the window is there", || Some(memory(pid)).filter(|all| loaded(all))).await;
    eventually("the window is shown", async || window::size(pid).is_some()).await;
    assert!(window::close(pid), "the tray has a window to close");
    let without = eventually_some("the page's process is gone", || Some(memory(pid)).filter(|all| !page(all))).await;
    let sum = |all: &[(String, u64)]| all.iter().map(|(_, kib)| kib).sum::<u64>();
    assert!(sum(&without) + 20_000 < sum(&with_window), "KiB with the window {with_window:?}, without {without:?}");
    assert!(get(address, "/livez").unwrap().starts_with("HTTP/1.1 200"), "the engine goes on");
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

/// A program that is a script.
#[cfg(target_os = "linux")]
fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Without a language, as on a bare machine: WebKit calls that "C", which once left the page empty.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_window_shows_the_engine() {
    let home = tempfile::tempdir().unwrap();
    // Nobody listens on the discard port.
    std::fs::write(home.path().join("config.toml"), "upstream = 'http://127.0.0.1:9'\n").unwrap();
    let (programs, opened) = (tempfile::tempdir().unwrap(), home.path().join("opened"));
    script(
        &programs.path().join("xdg-open"),
        &format!("#!/bin/sh\nprintf %s \"$1\" > '{0}.new'; mv '{0}.new' '{0}'\n", opened.display()),
    );
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    let _bus = BUS.lock().await;
    let host = host::Host::start().await;
    let variables = [("LC_ALL", "C"), ("PATH", path.as_str()), ("HOME", home.path().to_str().unwrap())];
    let driver = window::Driver::start(home.path(), &variables).await;
    let clicked = async {
        let address = eventually_some("it serves", || recorded(home.path())).await;
        let icon = host.icon_of(pid(home.path())).await;
        eventually("it accepts", async || icon.menu().await[0].text.starts_with("Ready on")).await;
        icon.click("Open panel").await;
        (address, icon)
    };
    let (window, (address, icon)) = tokio::time::timeout(LIMIT, async { tokio::join!(driver.open(), clicked) }).await.unwrap();
    let shows = async |page: &str, text: &str| {
        window.run(&format!("location.hash = '#/{page}'")).await;
        eventually(&format!("{page} shows {text}"), async || window.text().await.contains(text)).await;
    };
    shows("status", &format!("Ready on {address}")).await;
    let mut waiting = TcpStream::connect(address).unwrap();
    waiting.write_all(format!("GET /v1/models HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).unwrap();
    shows("activity", "/v1/models").await;
    drop(waiting);
    shows("history", "retried").await;
    shows("launch", "Claude Code").await;
    window.run("document.querySelector('button[aria-label$=\"install Kimi CLI\"]').click()").await;
    let page = eventually_some("the page of its makers is opened", || std::fs::read_to_string(&opened).ok()).await;
    assert_eq!(page, "https://github.com/MoonshotAI/kimi-cli");
    shows("start", "not tested yet").await;
    window.run("[...document.querySelectorAll('button')].find((one) => one.textContent.trim() === 'Test').click()").await;
    eventually("the test says where the way ends", async || window.text().await.contains("Nothing listens on 127.0.0.1:9")).await;
    shows("agents", "Nothing is changed, and no key is kept").await;
    eventually("it says when it looked", async || window.text().await.contains("looked ")).await;
    shows("doctor", "Examine this machine").await;
    window
        .run("[...document.querySelectorAll('button')].find((one) => one.textContent.trim() === 'Examine this machine').click()")
        .await;
    eventually("the examination ends", async || window.text().await.contains("Examine again")).await;
    shows("settings", "config.toml").await;
    shows("logs", "the tray is shown").await;
    shows("status", "Restart").await;
    // Where it stands depends on whether agents can work.
    window.run("[...document.querySelectorAll('button')].find((one) => one.textContent.trim() === 'Restart').click()").await;
    eventually("the page tells how the restart went", async || window.text().await.contains("Generation 2 has taken over")).await;

    icon.click("Quit").await;
    eventually("nobody serves any more", async || livez(address).is_err()).await;
}

/// Name and memory (PSS, KiB) of a process and its children.
#[cfg(target_os = "linux")]
fn memory(parent: u32) -> Vec<(String, u64)> {
    let read = |pid: u32, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let all = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    // The name stands in brackets; state and parent follow.
    let ours = all.filter(|pid| {
        let stat = read(*pid, "stat");
        let of = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        *pid == parent || of == Some(parent)
    });
    let known = ours.map(|pid| {
        let rollup = read(pid, "smaps_rollup");
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok());
        (read(pid, "comm").trim().to_owned(), pss.unwrap_or_default())
    });
    known.collect()
}

#[cfg(target_os = "linux")]
fn pid(home: &Path) -> u32 {
    let record = std::fs::read(home.join("state").join("instance.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    record["pid"].as_u64().unwrap().try_into().unwrap()
}

#[cfg(target_os = "linux")]
async fn eventually_some<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    eventually(what, async || {
        found = there();
        found.is_some()
    })
    .await;
    found.unwrap()
}
