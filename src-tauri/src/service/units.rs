//! The texts of systemd's user units, and what is read back from them. Pure.
//!
//! systemd holds the socket, so the port is never free, and starts the service 0.1 s after it was killed. Its limit of
//! starts is off: after five kills in ten seconds it would free the port. A user's manager has no privileges, so only what it
//! does without mount namespaces is asked of it (seccomp, limits).

use super::{
    error::Error,
    wanted::{MARK, Wanted},
};
use std::net::SocketAddr;

/// The unit that holds the port.
pub(super) const SOCKET: &str = "leeward.socket";
/// The unit that serves.
pub(super) const SERVICE: &str = "leeward.service";

/// The socket unit. Where the program is gone, nobody is to wait for it: then the port stays free.
pub(super) fn socket(wanted: &Wanted) -> Result<String, Error> {
    let Wanted { listen, .. } = wanted;
    let program = specifiers(wanted.program_text()?);
    Ok(format!(
        "# {MARK}\n\
         [Unit]\n\
         Description=Port of Leeward, the local proxy for coding agents\n\
         ConditionFileIsExecutable={program}\n\
         \n\
         [Socket]\n\
         ListenStream={listen}\n\
         Backlog=4096\n\
         \n\
         [Install]\n\
         WantedBy=sockets.target\n"
    ))
}

/// The service unit. From systemd 254 on a program that cannot be started is tried less and less often.
pub(super) fn service(wanted: &Wanted, systemd: u32) -> Result<String, Error> {
    let program = quoted(wanted.program_text()?);
    let variables: String =
        wanted.variables.iter().map(|(name, value)| format!("Environment={}\n", quoted(&format!("{name}={value}")))).collect();
    let slower = if systemd >= 254 { "RestartSteps=8\nRestartMaxDelaySec=5s\n" } else { "" };
    Ok(format!(
        "# {MARK}\n\
         [Unit]\n\
         Description=Leeward, the local proxy for coding agents\n\
         Wants={SOCKET}\n\
         After={SOCKET}\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         Type=notify\n\
         NotifyAccess=main\n\
         ExecStart={program} serve --stand-by\n\
         ExecReload={program} restart\n\
         {variables}\
         Restart=on-failure\n\
         RestartSec=100ms\n\
         {slower}\
         WatchdogSec=60s\n\
         WatchdogSignal=SIGKILL\n\
         TimeoutStopSec=30s\n\
         UMask=0077\n\
         NoNewPrivileges=yes\n\
         LockPersonality=yes\n\
         MemoryDenyWriteExecute=yes\n\
         RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n\
         RestrictNamespaces=yes\n\
         RestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n\
         SystemCallErrorNumber=EPERM\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n"
    ))
}

/// Where the socket unit listens.
pub(super) fn listens_at(socket: &str) -> Option<SocketAddr> {
    socket.lines().find_map(|line| line.strip_prefix("ListenStream=")?.trim().parse().ok())
}

/// `%` begins a specifier.
fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

/// A word of a command line or of `Environment=`.
fn quoted(text: &str) -> String {
    format!("\"{}\"", specifiers(text).replace('\\', "\\\\").replace('"', "\\\""))
}

/// The number in what `systemctl show --property=Version` says, such as `Version=252.39-1~deb12u2`.
pub(super) fn version(said: &str) -> Option<u32> {
    let digits: String = said.trim().strip_prefix("Version=")?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            program: "/opt/My Tools/100%/le\"eward".into(),
            listen: "127.0.0.1:8787".parse().unwrap(),
            variables: vec![("LEEWARD_HOME".into(), "/home/a b/50%\\x".into())],
        }
    }

    #[test]
    fn the_units_are_as_they_were() {
        assert_eq!(socket(&wanted()).unwrap(), include_str!("tests/leeward.socket"));
        assert!(service(&wanted(), 252).unwrap().contains(&format!("After={SOCKET}\n")) && SERVICE == "leeward.service");
        assert_eq!(service(&wanted(), 252).unwrap(), include_str!("tests/leeward.service"));
        let newer = service(&wanted(), 254).unwrap();
        assert!(newer.contains("RestartSec=100ms\nRestartSteps=8\nRestartMaxDelaySec=5s\n"), "{newer}");
    }

    #[test]
    fn the_address_is_read_back() {
        for listen in ["127.0.0.1:8787", "[::1]:9000", "0.0.0.0:1", "[::]:2"] {
            let listen = listen.parse().unwrap();
            assert_eq!(listens_at(&socket(&Wanted { listen, ..wanted() }).unwrap()), Some(listen));
        }
        assert_eq!(listens_at("ListenStream=/run/x\n"), None);
    }

    #[test]
    fn versions_are_numbers_whatever_follows() {
        for (said, number) in [("Version=252.39-1~deb12u2\n", Some(252)), ("Version=257\n", Some(257)), ("", None)] {
            assert_eq!(version(said), number, "{said}");
        }
    }

    #[test]
    fn a_path_that_is_no_line_of_text_is_refused() {
        let wanted = Wanted { program: "/opt/a\nExecStart=/bin/evil".into(), ..wanted() };
        assert!(socket(&wanted).is_err() && service(&wanted, 252).is_err());
    }
}
