//! Real clients through the tunnel: curl, git, Python, Node and rustls, each beside a server whose first connections break.
//! What is installed is tried; rustls always is.

use crate::support::{
    LIMIT,
    tunnel::{TOKEN, counts, open, reset, session},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::{collections::VecDeque, net::SocketAddr, path::Path, process::Stdio, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How a connection breaks before the server's first byte.
#[derive(Clone, Copy, Debug)]
enum Break {
    AtAccept,
    AfterHello,
    EndAfterHello,
}

/// A TLS server whose first connections break.
struct Web {
    address: SocketAddr,
    pem: String,
    authority: CertificateDer<'static>,
    _tasks: JoinSet<()>,
}

impl Web {
    async fn start(breaks: &[Break], alpn: &[&str]) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, "a throw-away authority");
        let authority = params.self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::new(params, key);
        let leaf_key = rcgen::KeyPair::generate().unwrap();
        let mut leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        leaf.use_authority_key_identifier_extension = true;
        leaf.distinguished_name.push(rcgen::DnType::CommonName, "a server of this test");
        let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let leaf_key = PrivateKeyDer::try_from(leaf_key.serialize_der()).unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], leaf_key).unwrap();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut breaks = VecDeque::from_iter(breaks.iter().copied());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (breaks, acceptor) = (breaks.pop_front(), acceptor.clone());
                open.spawn(async move { serve(stream, breaks, acceptor).await.ok() });
            }
        });
        Self { address, pem: authority.pem(), authority: authority.der().clone(), _tasks: tasks }
    }
}

async fn serve(mut stream: TcpStream, breaks: Option<Break>, acceptor: TlsAcceptor) -> std::io::Result<()> {
    match breaks {
        Some(Break::AtAccept) => {
            reset(stream);
            return Ok(());
        }
        Some(kind) => {
            stream.read_exact(&mut [0; 300]).await?;
            if matches!(kind, Break::AfterHello) {
                reset(stream);
            }
            return Ok(());
        }
        None => {}
    }
    let mut stream = acceptor.accept(stream).await?;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default();
        let body = match path {
            path if path.contains("/info/refs") => format!("{COMMIT}\trefs/heads/main\n"),
            path if path.ends_with("/HEAD") => "ref: refs/heads/main\n".to_owned(),
            _ => format!("served {path}"),
        };
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
    }
}

/// A client as it is started: program, arguments, what it must print.
struct Client {
    program: &'static str,
    args: Vec<String>,
    prints: String,
}

/// `{proxy}`, `{ca}` and `{url}` are what they say.
fn clients() -> Vec<Client> {
    let python = "import ssl,sys,urllib.request as u\n\
        proxy, ca, url = sys.argv[1:]\n\
        https = u.HTTPSHandler(context=ssl.create_default_context(cafile=ca))\n\
        print(u.build_opener(u.ProxyHandler({'https': proxy}), https).open(url, timeout=20).read().decode())";
    let node = "const [proxy, ca, url] = process.argv.slice(1); const p = new URL(proxy), u = new URL(url);\n\
        const auth = 'Basic ' + Buffer.from(`${p.username}:${p.password}`).toString('base64');\n\
        require('http').request({ host: p.hostname, port: p.port, method: 'CONNECT', path: u.host, headers: { 'Proxy-Authorization': auth } })\n\
        .on('connect', (res, socket) => { if (res.statusCode !== 200) throw new Error(String(res.statusCode));\n\
          const s = require('tls').connect({ socket, servername: 'localhost', ca: require('fs').readFileSync(ca) }, () => {\n\
            s.write(`GET ${u.pathname} HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n`); });\n\
          s.on('data', (data) => { process.stdout.write(data); s.end(); socket.destroy(); }); }).end();";
    let of = |program, args: &[&str], prints: &str| Client {
        program,
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        prints: prints.to_owned(),
    };
    let git = ["-c", "http.proxy={proxy}", "-c", "http.sslCAInfo={ca}", "-c", "credential.helper=", "ls-remote", "{url}"];
    vec![
        of("curl", &["-sS", "--noproxy", "", "--proxy", "{proxy}", "--cacert", "{ca}", "{url}"], "served /repo"),
        of("git", &git, &format!("{COMMIT}\trefs/heads/main")),
        of("python3", &["-c", python, "{proxy}", "{ca}", "{url}"], "served /repo"),
        of("node", &["-e", node, "{proxy}", "{ca}", "{url}"], "served /repo"),
    ]
}

async fn run(client: &Client, proxy: &str, ca: &Path, url: &str) -> std::io::Result<std::process::Output> {
    let fill = |arg: &String| arg.replace("{proxy}", proxy).replace("{ca}", ca.to_str().unwrap()).replace("{url}", url);
    let mut command = Command::new(client.program);
    command.args(client.args.iter().map(fill)).stdin(Stdio::null()).kill_on_drop(true);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy"] {
        command.env_remove(name);
    }
    command
        .env("GIT_SSL_CAINFO", ca)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    timeout(LIMIT, command.output()).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_clients_reach_a_server_whose_first_connections_break() {
    for breaks in [&[][..], &[Break::AtAccept; 2], &[Break::AfterHello; 3], &[Break::EndAfterHello, Break::AfterHello]] {
        for client in clients() {
            let (engine, _session) = session(|_| {}).await;
            let web = Web::start(breaks, &[]).await;
            let ca = engine.home.path().join("web.pem");
            std::fs::write(&ca, &web.pem).unwrap();
            let proxy = format!("http://leeward:{TOKEN}@{}", engine.address);
            let url = format!("https://localhost:{}/repo", web.address.port());
            let output = match run(&client, &proxy, &ca, &url).await {
                Ok(output) => output,
                Err(e) => {
                    println!("SKIP {}: {e}", client.program);
                    continue;
                }
            };
            let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && said.contains(&client.prints), "{} {breaks:?}: {said} {error}", client.program);
            let tunnels = counts(&engine).await;
            // A reset at accept may meet the dial itself, or the hello.
            let hellos = breaks.iter().filter(|kind| !matches!(kind, Break::AtAccept)).count();
            let replayed = tunnels["replayed_hellos"].as_u64().unwrap();
            assert!((hellos as u64..=breaks.len() as u64).contains(&replayed), "{} {breaks:?} {tunnels}", client.program);
            // git asks without credentials first, and again on the same connection.
            let refused = u64::from(client.program == "git");
            assert_eq!(tunnels["ended"]["refused"], refused, "{} {tunnels}", client.program);
        }
    }
}

/// TLS is between the two ends, and so is what they agree on.
#[tokio::test]
async fn a_tls_client_and_its_server_agree_on_h2_as_if_nobody_were_between() {
    for (offered, chosen) in
        [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&["h2"], Some("h2")), (&[], None)]
    {
        let (engine, _session) = session(|_| {}).await;
        let web = Web::start(&[Break::AfterHello], &["h2", "http/1.1"]).await;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(web.authority.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = offered.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let tunnel = open(&engine, web.address).await;
        let name = ServerName::try_from("localhost").unwrap();
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, tunnel);
        let mut stream = timeout(LIMIT, handshake).await.unwrap().unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen.map(str::as_bytes), "{offered:?}");
        stream.write_all(b"GET /x HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 15];
        timeout(LIMIT, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        assert_eq!(counts(&engine).await["replayed_hellos"], 1);
    }
}
