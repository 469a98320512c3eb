//! What names Leeward's own user to an API or a company proxy is for this user's programs alone. Part of it needs root, to act as
//! another user.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

use crate::support::{TestEngine, client, company::Company};
use leeward::config::{ClientIdentity, CompanyProxy, Config, ProxyChoice, Secret};
use scripted::{Plan, Upstream};
use std::{
    net::SocketAddr,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

const STRANGER: u32 = 54_322;
const TOKEN: &str = "a token of the tests";

/// One request as another user; its response, head and body.
fn stranger(address: SocketAddr, method: &str, path: &str, token: bool) -> Option<String> {
    const SCRIPT: &str = "import socket, sys
host, port, method, path, token = sys.argv[1:]
s = socket.create_connection((host, int(port)), 20)
s.sendall(f'{method} {path} HTTP/1.1\\r\\nhost: {host}:{port}\\r\\n{token}connection: close\\r\\n\\r\\n'.encode())
while piece := s.recv(65536): sys.stdout.buffer.write(piece)";
    let token = if token { format!("x-leeward-token: {TOKEN}\r\n") } else { String::new() };
    let mut command = Command::new("python3");
    command.args(["-I", "-c", SCRIPT, &address.ip().to_string(), &address.port().to_string(), method, path, &token]);
    let output = command.uid(STRANGER).gid(STRANGER).current_dir("/").stderr(Stdio::inherit()).output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(e) => {
            eprintln!("SKIP: only root can act as another user, with python3: {e}");
            None
        }
    }
}

/// Adds what names this user.
fn identify(config: &mut Config, company: &Company, how: &str) {
    match how.split_once("://") {
        None => {
            let made = rcgen::generate_simple_self_signed(vec!["me".into()]).unwrap();
            let folder = config.paths.state_dir.parent().unwrap().to_owned();
            let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
            std::fs::write(&cert, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            config.tls.client = Some(ClientIdentity { cert, key });
        }
        Some((scheme, _)) => {
            let url = format!("{scheme}://me:hush@{}", company.address);
            config.proxy.url = ProxyChoice::Named(CompanyProxy::parse(&url, "proxy.url").unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_user_is_not_served_under_our_name() {
    for (how, tls, key) in [
        ("certificate", true, "tls.client_cert"),
        ("http://", true, "proxy.url"),
        ("http://", false, "proxy.url"),
        ("socks5://", true, "proxy.url"),
        ("socks5h://", false, "proxy.url"),
    ] {
        let case = format!("{how} {}", if tls { "https" } else { "http" });
        let upstream = if tls { Upstream::tls(Plan::none()) } else { Upstream::plain(Plan::none()) }.unwrap();
        let socks = how.starts_with("socks");
        let company = if socks { Company::socks(Some("me:hush")).await } else { Company::http(Some("me:hush")).await };
        let engine = TestEngine::tuned(&upstream, |config| identify(config, &company, how));
        let asked = |engine: &TestEngine| client().get(engine.url("/v1/models")).send();
        // Also when a connection that shows who we are lies in the pool.
        assert_eq!(asked(&engine).await.unwrap().status(), 200, "{case}");
        let (processed, seen) = (upstream.log().read(|record| record.processed()), company.seen());
        for (method, path, kind) in [
            ("GET", "/v1/models", "permission_error"),
            ("HEAD", "/api/hello", ""),
            ("GET", "/v1beta/models", "PERMISSION_DENIED"),
        ] {
            let Some(told) = stranger(engine.address, method, path, false) else { return };
            assert!(told.starts_with("HTTP/1.1 403 ") && told.contains("x-leeward-error: another-user\r\n"), "{case}: {told}");
            let body = told.split_once("\r\n\r\n").unwrap().1;
            let names = [kind, key, "client_token", "x-leeward-token", &STRANGER.to_string()];
            assert!(method == "HEAD" || names.iter().all(|name| body.contains(name)), "{case}: {told}");
        }
        assert_eq!(
            (upstream.log().read(|record| record.processed()), company.seen()),
            (processed, seen),
            "{case}: nothing of it went out"
        );
        assert_eq!(asked(&engine).await.unwrap().status(), 200, "{case}: its own user is served as before");
        assert!(stranger(engine.address, "GET", "/readyz", false).unwrap().starts_with("HTTP/1.1 200 "), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_token_lets_others_in() {
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let company = Company::http(Some("me:hush")).await;
    let engine = TestEngine::tuned(&upstream, |config| {
        identify(config, &company, "http://");
        config.client_token = Some(Secret::new(TOKEN.to_owned()));
    });
    for (token, status) in [(true, "200"), (false, "401")] {
        let Some(told) = stranger(engine.address, "GET", "/v1/models", token) else { return };
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{token}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_user_is_served_where_nothing_names_us() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let company = Company::http(None).await;
    for proxied in [false, true] {
        let engine = TestEngine::tuned(&upstream, |config| {
            // A certificate is shown within TLS only, and this proxy asks for no login.
            identify(config, &company, "certificate");
            if proxied {
                let url = format!("http://{}", company.address);
                config.proxy.url = ProxyChoice::Named(CompanyProxy::parse(&url, "proxy.url").unwrap());
            }
        });
        let Some(told) = stranger(engine.address, "GET", "/v1/models", false) else { return };
        assert!(told.starts_with("HTTP/1.1 200 "), "{proxied}: {told}");
    }
}
