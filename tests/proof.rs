//! Who answers on Leeward's address is believed only after proof; until then nothing is sent. Other users' processes need root.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

use crate::{
    home::{Home, Ran, kill, until},
    support::client,
};
use serde_json::json;
use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

const STRANGER: u32 = 54_322;
const CLIENT_TOKEN: &str = "a-client-token-of-this-test";

/// Answers everything on the port as a Leeward of that process would, and prints what comes.
const IMPERSONATES: &str = r#"
import json, socket, sys
port, pid = int(sys.argv[1]), int(sys.argv[2])
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
while True:
    try: s.bind(("127.0.0.1", port)); break
    except OSError: pass
s.listen(64); print("listens", flush=True)
while True:
    c, _ = s.accept(); c.settimeout(2)
    try:
        while got := c.recv(65536):
            print(repr(got), flush=True)
            body = json.dumps({"pid": pid, "ready": True, "proof": "0" * 64}).encode()
            c.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    except OSError: pass
    c.close()
"#;

/// Waits at a door of its own for the listening socket, and prints what it gets.
const WAITS: &str = r#"
import array, os, socket, sys
door = sys.argv[1]
u = socket.socket(socket.AF_UNIX); u.bind(door); os.chmod(door, 0o777); u.listen(1)
print("waits", flush=True)
line, _ = u.accept()
try: _, control, _, _ = line.recvmsg(1, socket.CMSG_SPACE(64))
except OSError: control = []
print("got", len(control), flush=True)
"#;

/// A Python program as this or another user, and its lines.
struct Stranger(Child, Arc<Mutex<Vec<String>>>);

impl Stranger {
    /// `None`, said so, where it cannot be started as that user.
    fn start(script: &str, args: &[&str], user: Option<u32>) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-I", "-u", "-c", script]).args(args).current_dir("/").stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(e) => {
                eprintln!("SKIP: only root can act as another user, with python3: {e}");
                return None;
            }
        };
        let (lines, heard) = (Arc::<Mutex<Vec<String>>>::default(), BufReader::new(child.stdout.take().unwrap()));
        let told = lines.clone();
        thread::spawn(move || heard.lines().map_while(Result::ok).for_each(|line| told.lock().unwrap().push(line)));
        Some(Self(child, lines))
    }

    fn said(&self) -> String {
        self.1.lock().unwrap().join("\n")
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Leeward was killed, its record stayed, and somebody else answers on its address with its process number: this user's other
/// program, then another user's.
#[test]
fn whoever_takes_the_port_after_a_crash_gets_nothing() {
    for user in [None, Some(STRANGER)] {
        let home = Home::new();
        home.configure(&format!("client_token = '{CLIENT_TOKEN}'"));
        let mut serving = home.serve(&[]);
        let (address, pid): (SocketAddr, _) = (serving.address, serving.pid().to_string());
        let token = std::fs::read_to_string(home.paths().token_file()).unwrap();
        let record = std::fs::read(home.paths().instance_file()).unwrap();
        kill(serving.pid(), "KILL");
        serving.ended();
        let Some(thief) = Stranger::start(IMPERSONATES, &[&address.port().to_string(), &pid], user) else { continue };
        until("somebody has the port", || thief.said().contains("listens"));
        let commands: [&[&str]; 6] = [
            &["status", "--json"],
            &["env"],
            &["panel"],
            &["stop"],
            &["restart"],
            &["run", "--", "sh", "-c", "echo \"<$ANTHROPIC_BASE_URL>\""],
        ];
        for args in commands {
            // Each finds the record that the kill left behind.
            std::fs::write(home.paths().instance_file(), &record).unwrap();
            let ran = Ran::from(home.command(args).output().unwrap());
            assert!(!ran.stdout.contains(&address.to_string()), "{args:?}: {ran:?}");
            assert!(!ran.stdout.contains(&token), "{args:?}: {ran:?}");
            let record = home.record();
            assert!(
                record.as_ref().is_none_or(|record| record.address != address),
                "{args:?}: the stale record goes: {record:?}"
            );
        }
        let said = thief.said();
        assert!(!said.contains(&token) && !said.contains(CLIENT_TOKEN), "{said}");
    }
}

/// Somebody who has the control token, and is another user, asks for the listening socket.
#[tokio::test]
async fn a_caught_token_does_not_get_the_socket() {
    let home = Home::new();
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let serving = home.serve(&[]);
    let token = std::fs::read_to_string(home.paths().token_file()).unwrap();
    let door = folder.path().join("door").display().to_string();
    let Some(thief) = Stranger::start(WAITS, &[&door], Some(STRANGER)) else { return };
    until("he waits", || thief.said().contains("waits"));
    let asked = client()
        .post(format!("http://{}/_leeward/v1/handover", serving.address))
        .bearer_auth(&token)
        .json(&json!({ "to": door }))
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), 500);
    let why = asked.text().await.unwrap();
    assert!(why.contains(&format!("of another user ({STRANGER})")), "{why}");
    until("he has nothing", || thief.said().contains("got"));
    assert!(thief.said().contains("got 0"), "{}", thief.said());
    // The same for a session that has it brought there.
    let session = client()
        .post(format!("http://{}/_leeward/v1/sessions", serving.address))
        .bearer_auth(&token)
        .json(&json!({ "agent": "claude", "pid": 1, "door": door }))
        .send()
        .await
        .unwrap();
    assert_eq!(session.status(), 200);
    until("it is not brought there", || home.run(&["logs"]).stdout.contains("a session does not hold the port"));
    assert!(home.run(&["status"]).code == Some(0), "Leeward goes on");
    let mut nothing = String::new();
    drop(session);
    serving_ends(serving, &mut nothing);
}

/// What it printed besides its address: nothing.
fn serving_ends(mut serving: crate::home::Serving, text: &mut String) {
    kill(serving.pid(), "TERM");
    assert_eq!(serving.ended(), Some(0));
    serving.stdout.read_to_string(text).unwrap();
    assert_eq!(text, "");
}
