//! What no retry cures is told at once, with what is known and whose it is (U3).

use crate::support::{LIMIT, TestEngine, client, message};
use leeward::{config::Trust, supervisor::TestHooks};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// Status, `x-leeward-error`, sentence, and how long it took.
async fn told(engine: &TestEngine) -> (u16, String, String, Duration) {
    let began = Instant::now();
    let response = client().post(engine.url("/v1/chat/completions")).json(&message(false)).send().await.unwrap();
    let (status, code) = (response.status().as_u16(), response.headers()["x-leeward-error"].to_str().unwrap().to_owned());
    let told: serde_json::Value = response.json().await.unwrap();
    (status, code, told["error"]["message"].as_str().unwrap().to_owned(), began.elapsed())
}

fn toward(url: String, trust: Option<Trust>) -> TestEngine {
    let tune = |c: &mut leeward::config::Config| {
        c.upstream = url.parse().unwrap();
        c.retry.total = LIMIT;
        c.circuit.max_wait = LIMIT;
        if let Some(trust) = trust {
            c.trust = trust;
        }
    };
    TestEngine::with(None, tune, TestHooks::default())
}

/// Accepts, reads a hello, answers with these bytes.
async fn answers(bytes: &'static [u8]) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 8192]).await.unwrap() > 0);
            stream.write_all(bytes).await.ok();
            stream.shutdown().await.ok();
        }
    });
    (address, tasks)
}

#[tokio::test]
async fn another_protocol_behind_https_is_told_at_once() {
    for (bytes, wanted) in [
        (&b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"[..], "Write http://"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "has no TLS 1.2 or 1.3"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "has no TLS 1.2 or 1.3"),
    ] {
        let (address, _server) = answers(bytes).await;
        let engine = toward(format!("https://{address}"), None);
        let (status, code, sentence, took) = told(&engine).await;
        assert_eq!((status, &code[..]), (502, "not-tls"), "{sentence}");
        assert!(sentence.contains(wanted) && sentence.contains(&address.to_string()), "{sentence}");
        assert!(took < LIMIT / 2, "{took:?}");
        assert_eq!(engine.stats().await["retried_total"], 0, "{sentence}");
    }
}

/// A server whose certificate, of a root that is trusted, is valid in this span of seconds from now.
pub async fn dated(from: i64, until: i64) -> (SocketAddr, Trust, JoinSet<()>) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let at = |offset: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now.checked_add_signed(offset).unwrap());
    let key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let trusted = root.self_signed(&key).unwrap();
    let issuer = Issuer::new(root, key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    leaf.use_authority_key_identifier_extension = true;
    (leaf.not_before, leaf.not_after) = (at(from), at(until));
    let certificate = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            acceptor.accept(stream).await.ok();
        }
    });
    (address, Trust::Only(vec![trusted.der().to_vec()]), tasks)
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_no_company_proxy() {
    const HOUR: i64 = 3600;
    for (from, until, is_trusted, code, wanted) in [
        (12 * HOUR, 100 * HOUR, true, "clock", "Set the clock"),
        (-100 * HOUR, -12 * HOUR, true, "clock", "expired on"),
        (12 * HOUR, 100 * HOUR, false, "certificate", "inspects TLS, set extra_ca"),
        (-100 * HOUR, -12 * HOUR, false, "certificate", "inspects TLS, set extra_ca"),
    ] {
        let (address, trust, _server) = dated(from, until).await;
        let (_, other, _unused) = dated(-HOUR, HOUR).await;
        let engine = toward(format!("https://{address}"), Some(if is_trusted { trust } else { other }));
        let (status, told_as, sentence, took) = told(&engine).await;
        assert_eq!((status, &told_as[..]), (502, code), "{sentence}");
        assert!(sentence.contains(wanted), "{sentence}");
        assert_eq!(sentence.contains("clock"), is_trusted, "{sentence}");
        assert!(took < LIMIT / 2, "{took:?}");
        assert_eq!(engine.health().await["conditions"][0]["code"], "certificate-untrusted");
    }
}

/// A model server that is not started: no network is involved, and nobody waits for one.
#[tokio::test]
async fn a_server_on_this_machine_that_is_not_started_is_told_of_soon() {
    let dead = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let engine = toward(format!("http://{dead}"), None);
    let (status, _, sentence, took) = told(&engine).await;
    assert_eq!(status, 503, "{sentence}");
    assert!(sentence.contains(&format!("nothing listens on {dead}")) && sentence.contains("Start the server"), "{sentence}");
    assert!(!sentence.to_lowercase().contains("network"), "{sentence}");
    // It may be starting just now, and is waited for so long.
    assert!(took > Duration::from_secs(1) && took < LIMIT / 2, "{took:?}");
}

/// It is started meanwhile: nobody sees a thing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_this_machine_that_starts_in_time_is_reached() {
    let address = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let engine = toward(format!("http://{address}"), None);
    let asked = tokio::spawn(client().post(engine.url("/v1/messages")).json(&message(false)).send());
    crate::support::eventually("a dial fails", async || engine.stats().await["pool"]["dial_failures"].as_u64().unwrap() > 0)
        .await;
    let _upstream = scripted::Upstream::start(address, scripted::Plan::none(), false).unwrap();
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
}
