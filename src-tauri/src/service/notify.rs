//! What a process that serves tells its service manager (sd_notify(3)): ready, alive, stopping, and a line for people. Says
//! nothing where nobody asked for it. Asks nothing.

#[cfg(unix)]
#[path = "notify/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "notify/windows.rs"]
mod platform;

use crate::config::environment;
use std::time::Duration;

/// The way to the manager, where there is one.
#[derive(Debug)]
pub struct Notifier {
    to: Option<String>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the manager asks for it in the environment.
    pub fn of_environment() -> Self {
        Self::of(&environment)
    }

    fn of(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let to = env("NOTIFY_SOCKET").filter(|to| !to.is_empty());
        // Meant for another process where it names one: a parent that started this one.
        let is_meant = env("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let micros = env("WATCHDOG_USEC").and_then(|limit| limit.parse::<u64>().ok()).filter(|limit| *limit > 0);
        let watchdog = micros.filter(|_| is_meant && to.is_some()).map(Duration::from_micros);
        Self { to, watchdog }
    }

    /// It serves, or waits in its place for another one to end.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// It ends.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=ending: requests in flight may finish");
    }

    /// It lives. To be said each `beat`.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// How often the manager wants a sign of life; half of its limit.
    pub fn beat(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    fn send(&self, text: &str) {
        let Some(to) = &self.to else { return };
        // A manager that does not listen acts by its own limits.
        if let Err(why) = platform::send(to, text) {
            tracing::debug!("the service manager was not told {text:?}: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_counts_for_the_process_that_it_names() {
        let own = std::process::id().to_string();
        for (to, pid, micros, beat) in [
            (Some("/run/x"), Some(own.as_str()), Some("30000000"), Some(15)),
            (Some("/run/x"), None, Some("30000000"), Some(15)),
            (Some("/run/x"), Some("1"), Some("30000000"), None),
            (Some("/run/x"), None, Some("0"), None),
            (Some("/run/x"), None, None, None),
            (None, None, Some("30000000"), None),
        ] {
            let env = |name: &str| match name {
                "NOTIFY_SOCKET" => to.map(str::to_owned),
                "WATCHDOG_PID" => pid.map(str::to_owned),
                _ => micros.map(str::to_owned),
            };
            assert_eq!(Notifier::of(&env).beat(), beat.map(Duration::from_secs), "{to:?} {pid:?} {micros:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_said_arrives() {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("notify");
        let manager = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
        let notifier = Notifier { to: Some(socket.display().to_string()), watchdog: None };
        let heard = || {
            let mut said = [0; 200];
            let length = manager.recv(&mut said).unwrap();
            String::from_utf8(said[..length].to_vec()).unwrap()
        };
        notifier.ready("accepting");
        assert_eq!(heard(), "READY=1\nSTATUS=accepting");
        notifier.alive();
        assert_eq!(heard(), "WATCHDOG=1");
        notifier.stopping();
        assert!(heard().starts_with("STOPPING=1\n"));
        drop(manager);
        notifier.alive();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_without_a_file_is_reached_too() {
        use std::os::{linux::net::SocketAddrExt, unix::net};
        let name = format!("leeward-notify-{}", std::process::id());
        let manager = net::UnixDatagram::bind_addr(&net::SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier { to: Some(format!("@{name}")), watchdog: None }.alive();
        let mut said = [0; 20];
        assert_eq!(manager.recv(&mut said).unwrap(), "WATCHDOG=1".len());
    }
}
