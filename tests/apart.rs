//! A network and a hosts file of a test's own: the test runs again within them. It decides nothing about the test.

#![cfg(target_os = "linux")]

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

/// Set for the second run, so that it does not ask for a third.
const WITHIN: &str = "LEEWARD_TEST_APART";

/// True within the network of its own. Outside of it the test named so is run there, and must pass; where this machine
/// allows no such network, `SKIP` and why is said.
///
/// There the given host names are this machine's, all ports are free, and nothing else can be reached.
pub fn apart(test: &str, hosts: &[&str]) -> bool {
    if std::env::var_os(WITHIN).is_some() {
        return true;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hosts");
    std::fs::write(&file, format!("127.0.0.1 localhost {}\n::1 localhost\n", hosts.join(" "))).unwrap();
    let unshare = |then: &str| {
        let mut command = Command::new("unshare");
        command.args(["-r", "-n", "-m", "-p", "-f", "--mount-proc", "--kill-child", "sh", "-c"]);
        command.arg(format!("ip link set lo up && mount --bind \"$0\" /etc/hosts && {then}")).arg(&file);
        command
    };
    let why = match unshare("true").output() {
        Ok(Output { status, .. }) if status.success() => None,
        Ok(Output { stderr, .. }) => Some(String::from_utf8_lossy(&stderr).trim().to_owned()),
        Err(e) => Some(format!("unshare: {e}")),
    };
    if let Some(why) = why {
        // Past the test harness's capture, which shows nothing of a test that passes.
        std::io::stderr().write_all(format!("SKIP {test}: no network of its own: {why}\n").as_bytes()).ok();
        return false;
    }
    let mut again = unshare("exec \"$1\" --exact \"$2\" --nocapture");
    again.arg(std::env::current_exe().unwrap()).arg(test).env(WITHIN, "1").stdin(Stdio::null());
    let ran = again.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "within a network of its own:\n{said}");
    assert!(said.contains("1 passed"), "it did not run there:\n{said}");
    std::io::stderr().write_all(said.as_bytes()).ok();
    false
}
