//! Agents on the other side of something: a forwarded port, `ssh -R`, a container with a network of its own. What docs/remote.md
//! says of each is done here. Linux only where namespaces are needed; what a machine lacks is a `SKIP` with its reason.

#![cfg(target_os = "linux")]

use crate::{
    home::{Home, LEEWARD, LIMIT, Ran, Running, get, until},
    support::{TestEngine, client, message},
};
use scripted::{Plan, Upstream};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
};

const TOKEN: &str = "planted-client-token";

fn skip(test: &str, why: &str) {
    // Past the test harness's capture, which shows nothing of a test that passes.
    std::io::stderr().write_all(format!("SKIP {test}: {why}\n").as_bytes()).ok();
}

/// A port that leads to another one, as VS Code's, an IDE's or a container's forwarding does: bytes, and nothing else.
fn forwarded(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect(to) else { return };
            for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                thread::spawn(move || {
                    std::io::copy(&mut from, &mut to).ok();
                    to.shutdown(std::net::Shutdown::Write).ok();
                });
            }
        }
    });
    address
}

/// The Host header names the port that the agent knows, not Leeward's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarded_port_needs_no_setting() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let port = forwarded(engine.address).port();
    assert_ne!(port, engine.address.port());
    for host in ["127.0.0.1", "localhost"] {
        let sent = client().post(format!("http://{host}:{port}/v1/messages")).json(&message(false)).send().await.unwrap();
        assert_eq!(sent.status(), 200, "{host}");
    }
    let foreign = client().post(format!("http://127.0.0.1:{port}/v1/messages")).header("host", "codespace.example");
    assert_eq!(foreign.json(&message(false)).send().await.unwrap().status(), 421, "a web page's name is none of them");
}

/// A network of its own, as a container has it, with one cable to the machine that Leeward runs on. `docs/remote.md` has the config.
#[test]
fn a_container_reaches_the_hosts_leeward_by_an_allowed_name_and_the_token() {
    const TEST: &str = "a_container_reaches_the_hosts_leeward_by_an_allowed_name_and_the_token";
    let home = Home::new();
    let config = |lines: &str| std::fs::write(home.paths().config_file, format!("listen = \"10.88.0.1:8787\"\n{lines}")).unwrap();
    config(&format!("client_token = \"{TOKEN}\"\nallowed_hosts = [\"host.docker.internal\"]\n"));
    // The host's side keeps its namespace alive; the container's is told apart by the file of its process.
    let script = r#"ip link set lo up && ip link add far0 type veth peer name near0 && ip addr add 10.88.0.1/24 dev near0 && ip link set near0 up
        unshare -n sh -c 'echo $$ > "$OUT/container"; exec sleep 600' & far=$!
        trap 'kill $far $serves; exit' TERM
        while [ ! -s "$OUT/container" ]; do sleep 0.01; done
        ip link set far0 netns "$(cat "$OUT/container")" || { kill $far; exit 9; }
        : > "$OUT/joined"; "$LEEWARD" serve > "$OUT/said" 2>&1 & serves=$!
        wait $serves; kill $far"#;
    let mut command = home.command_of("unshare".as_ref(), &["-r", "-n", "sh", "-c", script]);
    command.env("LEEWARD", LEEWARD).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut host = match command.spawn() {
        Ok(child) => Running(child),
        Err(e) => return skip(TEST, &format!("unshare: {e}")),
    };
    let mut ended = false;
    until("Leeward serves, or there is no such network", || {
        ended = host.0.try_wait().unwrap().is_some();
        ended || home.read("said").contains("leeward is accepting on")
    });
    if ended && !home.path("joined").exists() {
        return skip(TEST, "no network of its own");
    }
    assert!(!ended, "{}", home.read("said"));
    let container = home.read("container").trim().to_owned();
    let inside = |line: &str| {
        let mut command = Command::new("nsenter");
        command.args(["-t", &container, "-U", "-n", "--preserve-credentials", "bash", "-c", line]);
        Ran::from(command.env_clear().envs(home.environment()).output().unwrap())
    };
    let ran = inside("ip link set lo up && ip addr add 10.88.0.2/24 dev far0 && ip link set far0 up");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let head = |host: &str, token: &str| {
        let line = format!(
            "exec 3<>/dev/tcp/10.88.0.1/8787; printf 'GET /health HTTP/1.1\\r\\nhost: {host}:8787\\r\\n{token}connection: close\\r\\n\\r\\n' >&3; head -n 1 <&3"
        );
        inside(&line).stdout.trim().to_owned()
    };
    let token = format!("x-leeward-token: {TOKEN}\\r\\n");
    until("the cable carries", || !head("host.docker.internal", &token).is_empty());
    for (host, token, answer) in [
        ("host.docker.internal", token.as_str(), "HTTP/1.1 200 OK"),
        ("127.0.0.1", &token, "HTTP/1.1 200 OK"),
        ("host.docker.internal", "", "HTTP/1.1 401 Unauthorized"),
        ("another.example", &token, "HTTP/1.1 421 Misdirected Request"),
    ] {
        assert_eq!(head(host, token), answer, "{host}");
    }
    let nowhere = inside("exec 3<>/dev/tcp/127.0.0.1/8787");
    assert_ne!(nowhere.code, Some(0), "the container's own loopback is another one");
}

/// An agent on a server uses the Leeward on the laptop that it was reached from.
#[test]
fn ssh_brings_the_port_to_the_other_side() {
    const TEST: &str = "ssh_brings_the_port_to_the_other_side";
    let sshd = std::env::var("SSHD").unwrap_or_else(|_| "/usr/sbin/sshd".into());
    if !std::path::Path::new(&sshd).exists() {
        return skip(TEST, &format!("there is no {sshd} (SSHD names another one)"));
    }
    let home = Home::new();
    let serving = home.serve(&[]);
    let keygen = |name: &str| {
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(home.path(name)).status();
        assert!(made.unwrap().success());
    };
    keygen("host-key");
    keygen("user-key");
    std::fs::copy(home.path("user-key.pub"), home.path("authorized_keys")).unwrap();
    let [ssh_port, far_port] = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let config = format!(
        "Port {ssh_port}\nListenAddress 127.0.0.1\nHostKey {0}/host-key\nAuthorizedKeysFile {0}/authorized_keys\nStrictModes no\nUsePAM no\nPidFile none\n",
        home.path("").display()
    );
    std::fs::write(home.path("sshd_config"), config).unwrap();
    let mut daemon = Command::new(&sshd);
    daemon.args(["-D", "-e", "-f"]).arg(home.path("sshd_config")).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut daemon = Running::start(&mut daemon);
    let mut ended = false;
    until("sshd accepts, or may not run", || {
        ended = daemon.0.try_wait().unwrap().is_some();
        ended || TcpStream::connect(("127.0.0.1", ssh_port)).is_ok()
    });
    if ended {
        let mut said = String::new();
        daemon.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        return skip(TEST, &format!("{sshd}: {}", said.trim()));
    }
    let mut ssh = Command::new("ssh");
    ssh.args([
        "-F",
        "none",
        "-N",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "ExitOnForwardFailure=yes",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ]);
    ssh.arg("-i").arg(home.path("user-key")).args(["-p", &ssh_port.to_string()]);
    ssh.args(["-R", &format!("{far_port}:{}", serving.address), "127.0.0.1"]).stdin(Stdio::null()).stderr(Stdio::null());
    let _ssh = Running::start(&mut ssh);
    let far: SocketAddr = format!("127.0.0.1:{far_port}").parse().unwrap();
    let began = std::time::Instant::now();
    until("the other side reaches Leeward", || {
        assert!(began.elapsed() < LIMIT);
        get(far, "/health").is_some_and(|health| health.contains(&format!("\"pid\":{}", serving.pid())))
    });
}
