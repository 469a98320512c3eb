//! The built `leeward` in a network of its own, whose addresses and routes really change. Linux only, and only where a
//! process may make such a network; elsewhere the test says `SKIP` and why.

#![cfg(target_os = "linux")]

use crate::home::{Home, LEEWARD, until};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Output, Stdio},
};

/// A `leeward serve` in a network of its own, which ends with it.
struct Apart {
    home: Home,
    child: Child,
}

impl Apart {
    /// `None` where no such network can be made.
    fn serve() -> Option<Self> {
        // The kernel's own pair of interfaces, one end of which plays the way out.
        let rehearsal = "ip link set lo up && ip link add out0 type veth peer name far0";
        let tried = Command::new("unshare").args(["-r", "-n", "sh", "-c", rehearsal]).output();
        let why = match tried {
            Ok(Output { status, .. }) if status.success() => None,
            Ok(Output { stderr, .. }) => Some(String::from_utf8_lossy(&stderr).trim().to_owned()),
            Err(e) => Some(format!("unshare: {e}")),
        };
        if let Some(why) = why {
            // Past the test harness's capture, which shows nothing of a test that passes.
            let line = format!("SKIP l10_another_network_is_noticed_and_noise_is_not: no network of its own: {why}\n");
            std::io::stderr().write_all(line.as_bytes()).ok();
            return None;
        }
        let home = Home::new();
        home.configure("log = \"debug\"\n");
        let mut command = Command::new("unshare");
        command.args(["-r", "-n", "sh", "-c", "ip link set lo up && exec \"$0\" serve", LEEWARD]);
        command.env_clear().envs(home.environment()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let apart = Self { home, child };
        assert!(line.starts_with("leeward is accepting on"), "{line}");
        until("it knows its network", || apart.log().contains("the network is known"));
        Some(apart)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.paths().log_file()).unwrap_or_default()
    }

    /// Runs a command in its network.
    fn inside(&self, command: &mut Command) -> Output {
        let pid = self.child.id().to_string();
        let mut inside = Command::new("nsenter");
        inside.args(["-t", &pid, "-U", "-n", "--preserve-credentials"]);
        inside.arg(command.get_program()).args(command.get_args());
        inside.env_clear().envs(self.home.environment()).output().unwrap()
    }

    fn ip(&self, args: &str) {
        let ran = self.inside(Command::new("ip").args(args.split(' ')));
        assert!(ran.status.success(), "ip {args}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    fn status(&self) -> Value {
        let ran = self.inside(Command::new(LEEWARD).args(["status", "--json"]));
        serde_json::from_slice(&ran.stdout).unwrap()
    }

    fn network(&self) -> (u64, String) {
        let network = &self.status()["status"]["network"];
        (network["changes"].as_u64().unwrap(), network["last_why"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until a change is told that was not before, and says what the last one was.
    fn changed_since(&self, before: u64) -> (u64, String) {
        until("the change is told", || self.network().0 > before);
        self.network()
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn l10_another_network_is_noticed_and_noise_is_not() {
    let Some(apart) = Apart::serve() else { return };
    assert_eq!(apart.network(), (0, String::new()));
    // A network comes up.
    apart.ip("link add out0 type veth peer name far0");
    apart.ip("link set far0 up");
    apart.ip("link set out0 up");
    apart.ip("addr add 10.77.0.2/24 dev out0");
    assert_eq!(apart.network().0, 0, "an interface that leads nowhere changes nothing");
    apart.ip("route add default via 10.77.0.1 dev out0");
    let (changes, why) = apart.changed_since(0);
    assert_eq!((changes, why.as_str()), (1, "routes"));
    // Another address.
    apart.ip("addr add 10.77.0.3/24 dev out0");
    let (changes, why) = apart.changed_since(changes);
    assert_eq!((changes, why.as_str()), (2, "addresses"));
    // Containers come and go beside it, and a temporary address lies in the same network as another.
    apart.ip("addr add 2001:db8:7::2/64 dev out0 nodad");
    let (changes, why) = apart.changed_since(changes);
    assert_eq!((changes, why.as_str()), (3, "addresses"));
    apart.ip("addr add 2001:db8:7::abcd/64 dev out0 nodad");
    apart.ip("link add veth7 type veth peer name peer7");
    apart.ip("addr add 172.18.0.1/16 dev veth7");
    apart.ip("link set veth7 up");
    apart.ip("link set peer7 up");
    apart.ip("link del veth7");
    // A VPN covers the default route by two halves of it and leaves the default route alone.
    apart.ip("link add vpn0 type veth peer name peer8");
    apart.ip("link set peer8 up");
    apart.ip("link set vpn0 up");
    apart.ip("addr add 10.8.0.2/24 dev vpn0");
    assert_eq!(apart.network().0, 3, "noise is no change");
    apart.ip("route add 128.0.0.0/1 dev vpn0");
    let (changes, why) = apart.changed_since(changes);
    assert_eq!((changes, why.as_str()), (4, "routes"));
    // The cable of the way out is pulled: the route stays, and leads nowhere.
    apart.ip("link set peer8 down");
    let (_, why) = apart.changed_since(changes);
    assert_eq!(why, "routes");
    assert!(apart.log().contains("the network changed: another default route"), "{}", apart.log());
}
