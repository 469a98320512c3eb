//! By which names and from which pages Leeward is reached, over real sockets; the guard's own table has every combination.

use crate::support::{LIMIT, TestEngine, client, message, raw};
use leeward::config::{Config, Secret};
use scripted::{Plan, Upstream};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// A config file's words for what a test sets.
pub fn said(text: &str) -> Config {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), text).unwrap();
    Config::under(home.path()).unwrap()
}

/// A Messages request to `host`, as it goes over the wire.
fn post(host: &str, fields: &str) -> String {
    let body = message(false).to_string();
    format!("POST /v1/messages HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn get(path: &str, host: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or_default()
}

/// A port that ssh, docker or an editor forwards to Leeward's.
#[tokio::test]
async fn a_forwarded_port_needs_no_configuration() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    for host in ["localhost:9000", "127.0.0.1:9000", "[::1]:9000", "localhost"] {
        let response = raw::ask(engine.address, post(host, "").as_bytes()).await;
        assert_eq!(status(&response), "200", "{host}: {response}");
    }
    let response = raw::ask(engine.address, post("app.localhost:9000", "").as_bytes()).await;
    assert!(response.starts_with("HTTP/1.1 421") && response.contains("add it to allowed_hosts"), "{response}");
}

/// A reverse proxy passes on the name that its own clients use, mostly without a port.
#[tokio::test]
async fn a_name_that_is_allowed_needs_no_port() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let allowed = said("allowed_hosts = ['llm.example.com', 'box.example.com:8443']").allowed_hosts;
    let engine = TestEngine::tuned(&upstream, |c| c.allowed_hosts = allowed);
    let own = format!("llm.example.com:{}", engine.address.port());
    for (host, want) in [
        ("llm.example.com", "200"),
        (&own, "200"),
        ("llm.example.com:443", "200"),
        ("box.example.com:8443", "200"),
        ("box.example.com", "421"),
        ("other.example.com", "421"),
    ] {
        let response = raw::ask(engine.address, post(host, "").as_bytes()).await;
        assert_eq!(status(&response), want, "{host}: {response}");
    }
    assert_eq!(upstream.log().record().requests.len(), 4);
}

/// An orchestrator asks by the container's address and knows no token; nothing else is told to it.
#[tokio::test]
async fn probes_are_for_anybody() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| c.client_token = Some(Secret::new("a-token-of-this-test".into())));
    for host in ["10.77.0.2:8787", "leeward.pods.cluster.local", "localhost:8787"] {
        for (path, want) in [("/livez", "200"), ("/readyz", "200"), ("/health", "4"), ("/stats", "4"), ("/v1/messages", "4")] {
            let response = raw::ask(engine.address, get(path, host, "").as_bytes()).await;
            assert!(status(&response).starts_with(want), "{path} at {host}: {response}");
        }
    }
    assert_eq!(upstream.log().record().requests.len(), 0);
}

/// What a browser asks of an upstream's path is answered here, with nothing of the upstream in it.
#[tokio::test]
async fn browsers_get_a_page_of_ours_and_no_upstream() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let host = engine.address.to_string();
    let navigation = "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";
    for (path, fields) in
        [("/", navigation), ("/v1/models", navigation), ("/@openai/v1/models", navigation), ("/favicon.ico", "")]
    {
        let response = raw::ask(engine.address, get(path, &host, fields).as_bytes()).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{path}: {response}");
        for told in ["text/plain", "nosniff", "no-store", "Leeward is running. `leeward panel` opens its panel."] {
            assert!(response.contains(told), "{told} at {path}: {response}");
        }
    }
    for fields in [
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n",
        "Service-Worker: script\r\n",
    ] {
        let response = raw::ask(engine.address, get("/v1/models", &host, fields).as_bytes()).await;
        assert!(response.starts_with("HTTP/1.1 403") && response.contains("x-leeward-error: from-browser"), "{response}");
        assert!(response.contains("add its exact origin to allowed_origins"), "{response}");
    }
    // A page of another origin asks first, and is told nothing that would let it go on.
    let preflight = format!(
        "OPTIONS /v1/messages HTTP/1.1\r\nHost: {host}\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n"
    );
    let response = raw::ask(engine.address, preflight.as_bytes()).await.to_ascii_lowercase();
    assert!(response.starts_with("http/1.1 403") && !response.contains("access-control-allow"), "{response}");
    assert_eq!(upstream.log().record().requests.len(), 0, "nothing of it reached the upstream");
    // Node's fetch says as much and no more.
    let response = raw::ask(engine.address, post(&host, "Sec-Fetch-Mode: cors\r\nAccept: */*\r\n").as_bytes()).await;
    assert_eq!(status(&response), "200", "{response}");
}

/// An IDE's webview is a page, too; one that is allowed by its origin reaches upstreams and nothing of Leeward's own.
#[tokio::test]
async fn a_page_that_is_allowed_reaches_upstreams_only() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let allowed = said("allowed_origins = ['vscode-webview://1a2b']").allowed_origins;
    let engine = TestEngine::tuned(&upstream, |c| c.allowed_origins = allowed);
    let host = engine.address.to_string();
    let webview = "Origin: vscode-webview://1a2b\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n";
    let response = raw::ask(engine.address, post(&host, webview).as_bytes()).await;
    assert_eq!(status(&response), "200", "{response}");
    let other = webview.replace("1a2b", "1a2c");
    let response = raw::ask(engine.address, post(&host, &other).as_bytes()).await;
    assert!(response.contains("x-leeward-error: foreign-origin") && response.contains("allowed_origins"), "{response}");
    let response = raw::ask(engine.address, get("/_leeward/v1/status", &host, webview).as_bytes()).await;
    assert_eq!(status(&response), "403", "{response}");
    // What it navigates to would be shown as a page of ours.
    let form = webview.replace("Mode: cors", "Mode: navigate");
    let response = raw::ask(engine.address, post(&host, &form).as_bytes()).await;
    assert!(response.contains("x-leeward-error: from-browser"), "{response}");
    assert_eq!(upstream.log().record().requests.len(), 1);
}

/// What follows a refused CONNECT or upgrade is meant for a tunnel or another protocol: nothing of it is a request.
#[tokio::test]
async fn nothing_is_answered_after_a_refused_tunnel_or_upgrade() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::start(&upstream);
    let host = engine.address.to_string();
    let next = post(&host, "") + &get("/livez", &host, "");
    let connect = format!("CONNECT api.anthropic.com HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let upgrade = get("/v1/responses", &host, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    for (first, status, code, connection) in [
        (&connect, 400, "bad-connect", "\r\nconnection: close\r\n"),
        // Who names a protocol names it there, too (RFC 9110 section 7.8).
        (&upgrade, 426, "upgrade-not-supported", "\r\nconnection: close, upgrade\r\n"),
    ] {
        for tail in [next.as_str(), "\u{16}\u{3}\u{1}\u{2} hello"] {
            // In one write, and in two.
            for pieces in [&[format!("{first}{tail}")][..], &[first.clone(), tail.to_owned()]] {
                let mut stream = TcpStream::connect(engine.address).await.unwrap();
                for piece in pieces {
                    // It may be closed by then.
                    stream.write_all(piece.as_bytes()).await.ok();
                }
                let all = String::from_utf8(raw::read_all(&mut stream, LIMIT).await).unwrap();
                assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{all}");
                assert!(all.starts_with(&format!("HTTP/1.1 {status}")) && all.contains(code), "{all}");
                assert!(all.to_ascii_lowercase().contains(connection), "{all}");
            }
        }
    }
    assert_eq!(upstream.log().record().requests.len(), 0);
    assert_eq!(client().get(engine.url("/livez")).send().await.unwrap().status(), 200, "others are served");
}
