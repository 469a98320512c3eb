//! The TLS of curl (OpenSSL), Python and Node before our certificates: what they take, and what they refuse.

use crate::support::{
    decrypted::{API, TOKEN, World},
    eventually,
};
use leeward::authority::bundle;
use scripted::Plan;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{net::TcpListener, process::Command, task::JoinSet, time::timeout};
use tokio_rustls::TlsAcceptor;

/// A tool's run; they need a moment each.
const LIMIT: Duration = Duration::from_secs(60);

/// A tunnel as agents ask for it, then TLS and one request, with nothing but what the language brings.
const PYTHON: &str = r#"
import os, socket, ssl, sys
host, port, auth = sys.argv[1], int(sys.argv[2]), sys.argv[3]
s = socket.create_connection(("127.0.0.1", port))
s.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nProxy-Authorization: Basic {auth}\r\n\r\n".encode())
while not (head := s.recv(4096)).endswith(b"\r\n\r\n"): pass
t = ssl.create_default_context(cafile=sys.argv[4]).wrap_socket(s, server_hostname=host)
t.sendall(f"GET /api/hello HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
print(b"".join(iter(lambda: t.recv(4096), b"")).decode())
"#;

const NODE: &str = r#"
const [host, port, auth] = process.argv.slice(1);
const socket = require('net').connect(+port, '127.0.0.1');
socket.write(`CONNECT ${host}:443 HTTP/1.1\r\nhost: ${host}:443\r\nconnection: close\r\nproxy-authorization: Basic ${auth}\r\n\r\n`);
socket.once('data', () => {
  const tls = require('tls').connect({ socket, servername: host, ALPNProtocols: ['http/1.1'] });
  tls.on('secureConnect', () => tls.write(`GET /api/hello HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
  tls.on('data', (data) => process.stdout.write(data));
  tls.on('error', (e) => { console.error(e.code); process.exit(9); });
});
"#;

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// `None`, and said so, where the tool is not installed.
async fn run(command: &mut Command) -> Option<Ran> {
    let shown = format!("{:?}", command.as_std().get_program());
    let command = command.env_remove("SSLKEYLOGFILE").stdin(Stdio::null()).kill_on_drop(true);
    match timeout(LIMIT, command.output()).await.unwrap_or_else(|_| panic!("{shown} hangs")) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            // Past the harness's capture.
            use std::io::Write;
            std::io::stderr().write_all(format!("SKIP {shown}: not installed\n").as_bytes()).unwrap();
            None
        }
        done => {
            let done = done.unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            Some(Ran { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) })
        }
    }
}

fn auth() -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(format!("leeward:{TOKEN}"))
}

fn curl(world: &World, ca: &Path) -> Command {
    let mut curl = Command::new("curl");
    // Without a user agent its CONNECT looks like an agent's.
    curl.args(["-sS", "--http1.1", "-A", "", "-H", "Accept:", "--proxy-header", "User-Agent:", "-m", "20", "--cacert"]).arg(ca);
    curl.args(["--proxy", &format!("http://leeward:{TOKEN}@{}", world.engine.address), "--noproxy", ""]);
    curl.arg(format!("https://{API}/api/hello"));
    curl
}

fn python(world: &World, ca: &Path) -> Command {
    let mut python = Command::new("python3");
    python.args(["-c", PYTHON, API, &world.engine.address.port().to_string(), &auth()]).arg(ca);
    python
}

fn node(world: &World, ca: &Path) -> Command {
    let mut node = Command::new("node");
    node.args(["-e", NODE, API, &world.engine.address.port().to_string(), &auth()]).env("NODE_EXTRA_CA_CERTS", ca);
    node
}

type Tool = fn(&World, &Path) -> Command;
const TOOLS: [(&str, Tool); 3] = [("curl", curl), ("python", python), ("node", node)];

#[tokio::test]
async fn every_client_takes_our_leaf_with_the_bundle() {
    let world = World::new(Plan::none()).await;
    let session = world.session(json!({})).await;
    let bundle = bundle(&world.folder(), session.id(), &[]).unwrap().path;
    for (name, tool) in TOOLS {
        let Some(ran) = run(&mut tool(&world, &bundle)).await else { continue };
        assert!(ran.code == Some(0) && ran.out.contains("hello"), "{name}: {:?} {} {}", ran.code, ran.out, ran.err);
    }
    assert_eq!(world.conditions().await.len(), 0, "all of them were decrypted");
    let stats = world.engine.stats().await;
    assert_eq!(stats["upstreams"]["api.anthropic.com:443"]["requests"], world.upstream.log().record().requests.len());
}

#[tokio::test]
async fn a_client_that_does_not_trust_us_works_from_its_second_connection_on() {
    for (name, tool) in TOOLS {
        let world = World::new(Plan::none()).await;
        let _session = world.session(json!({})).await;
        let real = world.engine.home.path().join("real.pem");
        std::fs::write(&real, world.upstream.authority_pem().unwrap()).unwrap();
        let Some(first) = run(&mut tool(&world, &real)).await else { continue };
        assert_ne!(first.code, Some(0), "{name}: {}", first.out);
        eventually("it is known", async || world.conditions().await.len() == 1).await;
        let second = run(&mut tool(&world, &real)).await.unwrap();
        assert!(second.code == Some(0) && second.out.contains("hello"), "{name}: {} {}", second.out, second.err);
    }
}

/// Whoever steals the key cannot use it for another host: clients refuse what it signs.
#[tokio::test]
async fn a_leaf_for_another_host_that_our_key_has_signed_is_refused_by_every_client() {
    let world = World::new(Plan::none()).await;
    let session = world.session(json!({})).await;
    let bundle = bundle(&world.folder(), session.id(), &[]).unwrap().path;
    for (host, taken) in [(API, true), ("github.com", false), ("claude.ai", false)] {
        let server = Forged::serve(&world, session.id(), host).await;
        let port = server.port;
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-m", "20", "--noproxy", "*", "--resolve", &format!("{host}:{port}:127.0.0.1"), "--cacert"]);
        curl.arg(&bundle).arg(format!("https://{host}:{port}/"));
        let script = "import socket, ssl, sys\nssl.create_default_context(cafile=sys.argv[3]).wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[2]))), server_hostname=sys.argv[1])";
        let mut python = Command::new("python3");
        python.args(["-c", script, host, &port.to_string()]).arg(&bundle);
        let script = "const [host, port] = process.argv.slice(1); require('tls').connect({ host: '127.0.0.1', port: +port, servername: host }, () => process.exit(0)).on('error', (e) => { console.error(e.message); process.exit(9); });";
        let mut node = Command::new("node");
        node.args(["-e", script, host, &port.to_string()]).env("NODE_EXTRA_CA_CERTS", &bundle);
        for (name, tool, refused) in [("curl", &mut curl, 60), ("python", &mut python, 1), ("node", &mut node, 9)] {
            let Some(ran) = run(tool).await else { continue };
            if taken {
                // curl misses a response; its TLS was content.
                assert!(!ran.err.contains("ertificate"), "{name} {host}: {}", ran.err);
            } else {
                assert_eq!(ran.code, Some(refused), "{name} {host}: {}", ran.err);
                assert!(ran.err.to_lowercase().contains("permitted subtree violation"), "{name} {host}: {}", ran.err);
            }
        }
    }
}

/// A TLS server whose certificate was signed with the key that lies in the folder.
struct Forged {
    port: u16,
    _tasks: JoinSet<()>,
}

impl Forged {
    async fn serve(world: &World, id: &str, host: &str) -> Self {
        let key: PathBuf = world.folder().join(format!("{id}.key"));
        let key = rcgen::KeyPair::from_pem(&std::fs::read_to_string(key).unwrap()).unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.distinguished_name = rcgen::DistinguishedName::new();
        authority.distinguished_name.push(rcgen::DnType::CommonName, format!("Leeward CA {id}"));
        let issuer = rcgen::Issuer::new(authority, key);
        let mut leaf = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        leaf.use_authority_key_identifier_extension = true;
        let day = Duration::from_secs(24 * 3600);
        (leaf.not_before, leaf.not_after) = ((SystemTime::now() - day / 2).into(), (SystemTime::now() + day).into());
        let own = rcgen::KeyPair::generate().unwrap();
        let signed = leaf.signed_by(&own, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let own = rustls::pki_types::PrivateKeyDer::try_from(own.serialize_der()).unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![signed.der().clone()], own).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that refuses ends its own handshake; the next one may come.
                acceptor.accept(stream).await.ok();
            }
        });
        Self { port, _tasks: tasks }
    }
}
