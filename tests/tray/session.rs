//! The tray within a desktop session: other starts of it, taking over, start at login, notifications, no tray host.

use crate::{
    BUS, LIMIT, Tray, address, eventually, eventually_some, get,
    host::Host,
    livez, pid, recorded, until,
    window::{self, Driver},
};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

fn leeward() -> std::path::PathBuf {
    Path::new(env!("CARGO_BIN_EXE_leeward-tray")).with_file_name("leeward")
}

fn log(home: &Path) -> String {
    std::fs::read_to_string(home.join("state").join("logs").join("leeward.log")).unwrap_or_default()
}

/// Else it would start a desktop's own notification daemon, which takes the name that the host here needs.
#[tokio::test]
async fn the_test_bus_starts_no_program() {
    let bus = zbus::Connection::session().await.unwrap();
    let names = zbus::fdo::DBusProxy::new(&bus).await.unwrap().list_activatable_names().await.unwrap();
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["org.freedesktop.DBus"], "`cargo xtask test tray-test` brings a bus without service folders");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_brings_the_first_ones_window_up() {
    let home = tempfile::tempdir().unwrap();
    let _bus = BUS.lock().await;
    let host = Host::start().await;
    let tray = Tray::start(home.path());
    let serving = eventually_some("it serves", || recorded(home.path())).await;
    host.icon_of(tray.0.id()).await;
    assert!(window::size(tray.0.id()).is_none(), "it starts without a window");
    for round in 1..=2 {
        let mut second = Tray::start(home.path());
        assert_eq!(second.ended().code(), Some(0), "{}", second.said());
        eventually("its window is there", async || window::size(tray.0.id()).is_some()).await;
        // Round 2 finds the window open and brings it to the front.
        assert_eq!((recorded(home.path()), pid(home.path())), (Some(serving), tray.0.id()), "round {round}");
    }
}

/// Whoever starts it for the first time sees where to begin, and once; a session's start at login is not seen at all.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_opens_the_panel_and_no_later_one_does() {
    let home = tempfile::tempdir().unwrap();
    let _bus = BUS.lock().await;
    let host = Host::start().await;
    let started = |args: &[&str]| {
        let mut command = Tray::first_command(home.path());
        command.args(["--listen", "127.0.0.1:0"]).args(args);
        Tray::by(command)
    };
    // What was asked for after the start is answered after it: by then the window would be there.
    let settled = async |tray: &Tray| {
        let address = eventually_some("it serves", || recorded(home.path())).await;
        let icon = host.icon_of(tray.0.id()).await;
        icon.click("Restart").await;
        eventually("it has restarted", async || get(address, "/health").is_ok_and(|health| health.contains("\"generation\":2")))
            .await;
        icon
    };
    let windows = |tray: &Tray| crate::memory(tray.0.id()).iter().filter(|(name, _)| name.starts_with("WebKitWebProc")).count();
    for (args, opens) in [(&["--hidden"][..], false), (&[], true), (&[], false), (&["--hidden"], false)] {
        let mut tray = started(args);
        let icon = settled(&tray).await;
        if opens {
            eventually("the window is there", async || window::size(tray.0.id()).is_some()).await;
        }
        assert_eq!(windows(&tray), usize::from(opens), "{args:?}");
        icon.click("Quit").await;
        assert_eq!(tray.ended().code(), Some(0), "{}", tray.said());
    }
}

/// A tray whose engine was ended protects nobody, so it ends too.
#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_leeward_is_stopped_on_purpose() {
    let home = tempfile::tempdir().unwrap();
    let _bus = BUS.lock().await;
    let host = Host::start().await;
    let mut tray = Tray::start(home.path());
    let serving = eventually_some("it serves", || recorded(home.path())).await;
    host.icon_of(tray.0.id()).await;
    let stopped = Command::new(leeward()).arg("stop").env("LEEWARD_HOME", home.path()).output().unwrap();
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(tray.ended().code(), Some(0), "{}", tray.said());
    assert!(livez(serving).is_err(), "nobody serves any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_comes_back_as_large_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let _bus = BUS.lock().await;
    let host = Host::start().await;
    let wanted = Some((700, 560));
    for start in 1..=2 {
        let mut tray = Tray::start(home.path());
        let icon = host.icon_of(tray.0.id()).await;
        icon.click("Open panel").await;
        eventually("the window is there", async || window::size(tray.0.id()).is_some()).await;
        if start == 1 {
            window::resize(tray.0.id(), (700, 560));
            eventually("it has that size", async || window::size(tray.0.id()) == wanted).await;
            window::close(tray.0.id());
            eventually("it is closed", async || window::size(tray.0.id()).is_none()).await;
            icon.click("Open panel").await;
        }
        eventually("it has the size again", async || window::size(tray.0.id()) == wanted).await;
        icon.click("Quit").await;
        assert_eq!(tray.ended().code(), Some(0), "{}", tray.said());
    }
}

/// Another program has the configured port: it is named, and Leeward serves all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_somebody_has_is_told_and_another_one_served() {
    let home = tempfile::tempdir().unwrap();
    let _bus = BUS.lock().await;
    let host = Host::start().await;
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let wanted = other.local_addr().unwrap();
    std::fs::write(home.path().join("config.toml"), format!("listen = '{wanted}'\n")).unwrap();
    let tray = Tray::by(Tray::command(home.path()));
    let address = eventually_some("it serves", || recorded(home.path())).await;
    let icon = host.icon_of(tray.0.id()).await;
    // A long name of the program is cut off.
    let told = format!("{wanted} is taken by");
    eventually("the menu says who has it", async || icon.menu().await[0].text.starts_with(&told)).await;
    let line = icon.menu().await[0].text.clone();
    assert!(line.chars().count() <= 40, "desktops cut longer titles: {line}");
    let health = get(address, "/health").unwrap();
    assert!(health.contains(&format!("(pid {})", std::process::id())), "{health}");
    assert!(health.contains(&format!("Leeward serves on {address} instead")), "{health}");
    icon.click("Quit").await;
}

/// Sends a request on a new connection, again and again; an error ends it.
fn ask_until(address: SocketAddr, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<Result<u32, String>> {
    std::thread::spawn(move || {
        let mut asked = 0;
        while !stop.load(Relaxed) {
            let answer = livez(address).map_err(|why| format!("request {asked}: {why}"))?;
            if !answer.starts_with("HTTP/1.1 200") {
                return Err(format!("request {asked}: {answer}"));
            }
            asked += 1;
        }
        Ok(asked)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_over_from_a_serve_and_refuses_nobody() {
    let home = tempfile::tempdir().unwrap();
    let _bus = BUS.lock().await;
    let host = Host::start().await;
    let mut command = Command::new(leeward());
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("LEEWARD_HOME", home.path());
    let mut serve = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let address = eventually_some("it serves", || recorded(home.path())).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..2).map(|_| ask_until(address, stop.clone())).collect();

    let tray = Tray::start(home.path());
    eventually("the tray serves", async || pid(home.path()) == tray.0.id()).await;
    let mut status = None;
    eventually("the first one ends", async || {
        status = serve.try_wait().unwrap();
        status.is_some()
    })
    .await;
    assert_eq!(status.unwrap().code(), Some(0));
    let icon = host.icon_of(tray.0.id()).await;
    eventually("it accepts there", async || icon.menu().await[0].text.starts_with(&format!("Ready on {address}"))).await;
    stop.store(true, Relaxed);
    let asked: u32 = load.into_iter().map(|load| load.join().unwrap().unwrap()).sum();
    println!("{asked} requests over the change, none refused");
    assert!(asked > 10, "{asked}");
    assert!(log(home.path()).contains("no connection was refused"), "{}", log(home.path()));
    assert!(get(address, "/health").unwrap().contains(&format!("\"pid\":{}", tray.0.id())));
    icon.click("Quit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn start_at_login_is_a_switch_in_the_menu() {
    let home = tempfile::tempdir().unwrap();
    let _bus = BUS.lock().await;
    let host = Host::start().await;
    // There the plugin writes, whatever XDG_CONFIG_HOME says.
    let tray = Tray::start_with(home.path(), &[("HOME", home.path().to_str().unwrap())]);
    let icon = host.icon_of(tray.0.id()).await;
    let file = home.path().join("config").join("autostart").join("leeward-tray.desktop");
    let on = async || icon.menu().await.iter().find(|line| line.text == "Start at login").unwrap().on;
    assert!(!on().await && !file.exists());
    icon.click("Start at login").await;
    eventually("it is on", async || on().await && file.exists()).await;
    let entry = std::fs::read_to_string(&file).unwrap();
    let exec = entry.lines().find_map(|line| line.strip_prefix("Exec=")).unwrap();
    assert_eq!(exec, format!("\"{}\" --hidden", env!("CARGO_BIN_EXE_leeward-tray")));
    assert!(!home.path().join(".config").join("autostart").exists(), "it lies where the session looks, and nowhere else");
    // As the desktop's own settings switch it off.
    std::fs::write(&file, entry.replace("X-GNOME-Autostart-enabled=true", "X-GNOME-Autostart-enabled=false")).unwrap();
    icon.click("Start at login").await;
    eventually("it is on again", async || std::fs::read_to_string(&file).is_ok_and(|now| now == entry)).await;
    icon.click("Start at login").await;
    eventually("it is off", async || !on().await && !file.exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_copied_from_the_menu() {
    let home = tempfile::tempdir().unwrap();
    let _bus = BUS.lock().await;
    let host = Host::start().await;
    let tray = Tray::start_with(home.path(), &[("SHELL", "/usr/bin/fish")]);
    let icon = host.icon_of(tray.0.id()).await;
    icon.click("Copy environment").await;
    let wanted = format!("'{}' env --shell fish | source", leeward().display());
    let mut clipboard = arboard::Clipboard::new().unwrap();
    let same = |text: String| text.replace('\'', "") == wanted.replace('\'', "");
    eventually("it is in the clipboard", async || clipboard.get_text().is_ok_and(same)).await;
}

/// Where no icon is shown, the panel comes by itself, says so, and has the way to quit.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_tray_host_the_panel_says_so() {
    let home = tempfile::tempdir().unwrap();
    let _bus = BUS.lock().await;
    let driver = Driver::start(home.path(), &[("LC_ALL", "C"), ("HOME", home.path().to_str().unwrap())]).await;
    let window = tokio::time::timeout(LIMIT, driver.open()).await.unwrap();
    eventually("the panel says so", async || window.text().await.contains("shows no tray icons")).await;
    let address = address(home.path());
    window.run("[...document.querySelectorAll('button')].find(b => b.innerText === 'Quit Leeward').click()").await;
    eventually("it has ended", async || livez(address).is_err()).await;
}

/// A handle of the socket on which a process listens.
fn listening(process: u32) -> socket2::Socket {
    let pidfd = pidfd_open(Pid::from_raw(process.cast_signed()).unwrap(), PidfdFlags::empty()).unwrap();
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let mut handles = files
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|fd| pidfd_getfd(&pidfd, fd, PidfdGetfdFlags::empty()).ok())
        .map(socket2::Socket::from);
    handles.find(|socket| socket.is_listener().unwrap_or(false)).expect("it listens")
}

/// Takes the port away from the engine: shuts its socket down, and is faster to bind it again.
fn steal(tray: &Tray, address: SocketAddr) -> TcpListener {
    until("the port is ours", || {
        let socket = listening(tray.0.id());
        socket.shutdown(std::net::Shutdown::Both).ok();
        let stolen = TcpListener::bind(address).ok();
        drop(socket);
        stolen
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_and_recovered_are_notified_once_unless_switched_off() {
    let home = tempfile::tempdir().unwrap();
    let _bus = BUS.lock().await;
    let host = Host::start().await;
    let tray = Tray::start(home.path());
    let address = eventually_some("it serves", || recorded(home.path())).await;
    let shown = || host.notices.lock().unwrap().clone();
    let stolen = steal(&tray, address);
    eventually("it is told that agents cannot work", async || shown().len() == 1).await;
    drop(stolen);
    eventually("it is told that they can again", async || shown().len() == 2).await;
    let told = shown();
    assert_eq!(told[0].0, "Agents cannot work");
    assert!(told[0].1.contains(&address.to_string()), "{told:?}");
    assert!(told[1].0 == "Agents can work again" && told[1].1.starts_with(&format!("Ready on {address}")), "{told:?}");

    std::fs::write(home.path().join("config.toml"), "notifications = false\n").unwrap();
    let stolen = steal(&tray, address);
    eventually("it has its reason in the log", async || log(home.path()).contains("not notified, as the config says")).await;
    drop(stolen);
    assert_eq!(shown().len(), 2);
}

/// Started from a menu or at login nobody sees what it writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_is_notified() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("state")).unwrap();
    std::fs::set_permissions(home.path().join("state"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let _bus = BUS.lock().await;
    let host = Host::start().await;
    let mut tray = Tray::start(home.path());
    let status = tokio::task::spawn_blocking(move || tray.ended()).await.unwrap();
    assert_eq!(status.code(), Some(78));
    let told = host.notices.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "Leeward could not start");
    assert!(told[0].1.contains("chmod go-w"), "{told:?}");
}

/// Whoever would explain it must be there.
#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_is_refused_keeps_nobody_from_serving() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), "lisen = \"127.0.0.1:0\"\n").unwrap();
    let _bus = BUS.lock().await;
    let _host = Host::start().await;
    let _tray = Tray::start(home.path());
    let address = eventually_some("it serves", || recorded(home.path())).await;
    let health = get(address, "/health").unwrap();
    assert!(health.contains("config-invalid") && health.contains("lisen"), "{health}");
}
