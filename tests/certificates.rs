//! Certificates in files: the one that Leeward shows, the roots it trusts besides; read again when they change.

use crate::support::{TestEngine, client};
use leeward::{
    config::{ClientIdentity, Config, Trust},
    supervisor::TestHooks,
};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// Issues certificates for the test's two sides.
struct Authority {
    root: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        Self { root, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// Answers with the position of the client's certificate in `known`; ends when it is dropped.
struct Server {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(authority: &Authority, known: Vec<CertificateDer<'static>>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.root.der().clone()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let clients = clients.allow_unauthenticated().build().unwrap();
        let (cert, key) = authority.issue("127.0.0.1");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known = Arc::new(known);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, known) = (acceptor.clone(), known.clone());
                open.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let shown = stream.get_ref().1.peer_certificates().map(|c| c[0].clone());
                    let body = shown.map_or("none".into(), |s| known.iter().position(|k| *k == s).unwrap().to_string());
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {
                        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, _tasks: tasks }
    }

    fn engine(&self, tune: impl FnOnce(&mut Config)) -> TestEngine {
        let tune = |c: &mut Config| {
            c.upstream = format!("https://{}", self.address).parse().unwrap();
            // Each request makes a connection of its own.
            c.pool.idle = Duration::ZERO;
            tune(c);
        };
        TestEngine::with(None, tune, TestHooks::default())
    }
}

async fn ask(engine: &TestEngine) -> (Option<String>, String) {
    let response = client().get(engine.url("/v1/models")).send().await.unwrap();
    let error = response.headers().get("x-leeward-error").map(|v| v.to_str().unwrap().to_owned());
    (error, response.text().await.unwrap())
}

/// Writes a file whose time is different from the last one's, whatever the file system's clock.
fn write(path: &Path, text: &str, version: u64) -> PathBuf {
    std::fs::write(path, text).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + version)).unwrap();
    path.to_path_buf()
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_read_again_when_it_changes() {
    let authority = Authority::new();
    let (first, second) = (authority.issue("first"), authority.issue("second"));
    let server = Server::start(&authority, vec![first.0.der().clone(), second.0.der().clone()]).await;
    let home = tempfile::tempdir().unwrap();
    let (cert, key) = (home.path().join("cert.pem"), home.path().join("key.pem"));
    write(&cert, &first.0.pem(), 1);
    write(&key, &first.1.serialize_pem(), 1);
    let root = authority.root.der().to_vec();
    let engine = server.engine(|c| {
        c.trust = Trust::Only(vec![root.clone()]);
        c.tls.client = Some(ClientIdentity { cert: cert.clone(), key: key.clone() });
    });
    assert_eq!(ask(&engine).await, (None, "0".into()));
    // Between the two writes the pair does not match: the last good one stays in use.
    write(&cert, &second.0.pem(), 2);
    assert_eq!(ask(&engine).await, (None, "0".into()));
    write(&key, &second.1.serialize_pem(), 2);
    assert_eq!(ask(&engine).await, (None, "1".into()));
    write(&cert, "no certificate", 3);
    assert_eq!(ask(&engine).await, (None, "1".into()));
    std::fs::remove_file(&key).unwrap();
    assert_eq!(ask(&engine).await, (None, "1".into()));
    let without = server.engine(|c| c.trust = Trust::Only(vec![root]));
    assert_eq!(ask(&without).await, (None, "none".into()));
}

/// The other systems' verifiers have rules of their own for certificates that live as long as a test.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn more_roots_are_read_again_when_they_change() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = Server::start(&authority, Vec::new()).await;
    let home = tempfile::tempdir().unwrap();
    let file = write(&home.path().join("roots.pem"), &stranger.root.pem(), 1);
    let engine = server.engine(|c| c.trust = Trust::Platform { extra: Some(file.clone()) });
    assert_eq!(ask(&engine).await.0.as_deref(), Some("certificate"));
    write(&file, &(stranger.root.pem() + &authority.root.pem()), 2);
    assert_eq!(ask(&engine).await, (None, "none".into()));
    write(&file, "junk", 3);
    assert_eq!(ask(&engine).await, (None, "none".into()));
}

/// Whoever answers on the network names the issuer; the sentence about it must not command a terminal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_cannot_write_escape_sequences_into_what_is_told() {
    const EVIL: &str = "\x1b]0;OWNED\x07\x1b[2J\u{9b}31m\u{202e}EVIL";
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, EVIL);
    let root = params.self_signed(&key).unwrap();
    let evil = Authority { root, issuer: Issuer::new(params, key) };
    let server = Server::start(&evil, Vec::new()).await;
    let upstream = format!("https://{}", server.address).parse().unwrap();
    let engine = TestEngine::with(None, |config| config.upstream = upstream, TestHooks::default());
    let response = client().post(engine.url("/v1/messages")).body("{}").send().await.unwrap();
    let answer: serde_json::Value = response.json().await.unwrap();
    let conditions = engine.health().await["conditions"].clone();
    // The agent's text is cut where it grows too long, the condition's is not.
    assert!(conditions[0]["sentence"].as_str().unwrap().contains("EVIL"), "{conditions}");
    for told in [&answer["error"]["message"], &conditions[0]["sentence"]] {
        let told = told.as_str().unwrap_or_else(|| panic!("{answer} {conditions}"));
        assert!(told.contains(r"\u{1b}[2J"), "{told:?}");
        assert!(!told.contains(|c: char| c.is_control() || c == '\u{202e}'), "{told:?}");
    }
}
