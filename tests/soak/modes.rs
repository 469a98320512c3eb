//! Agents in tunnel and in intercept mode, beside those with a base URL: a connection of its own for every request, by CONNECT and
//! TLS, to a host with its real name behind a company's proxy. Their sessions register again whenever the engine lets them go.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use leeward::config::{CompanyProxy, Config, NoProxy, ProxyChoice};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use scripted::{Fault, Forward, Moment, Plan, Request, Upstream};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsConnector;

const HOST: &str = "api.anthropic.com";
/// Agents in each of the two modes.
const AGENTS: u64 = 3;
/// In a hundred: connections that are reset, and requests whose first arrival is.
const CONNECTIONS: u8 = 12;
const REQUESTS: u8 = 25;
/// Longer than anything takes that Leeward has promised.
const PATIENCE: Duration = Duration::from_secs(100);
/// What is no inference is repaired for 2.5 s, and a tunnel's target tried for 4 s: who was told after most of it was told rightly.
const NEARLY: Duration = Duration::from_secs(2);
const TUNNEL: Duration = Duration::from_millis(3500);
/// The place of the inference among what is asked.
const INFERENCE: usize = 1;
/// What is asked: whether it may be sent again once it has been sent, and what its right answer holds.
const ASKED: [(&str, &str, &str, bool, &str); 3] = [
    ("GET", "/v1/models", "", true, "has_more"),
    ("POST", "/v1/messages", r#"{"model":"m","max_tokens":9,"stream":true,"messages":[]}"#, true, "message_stop"),
    ("POST", "/v1/oauth/token", "{}", false, "access_token"),
];

/// A request and what came of it.
#[derive(Debug)]
struct Seen {
    id: String,
    decrypts: bool,
    asked: usize,
    /// The answer, or why there is none.
    saw: Result<String, String>,
    took: Duration,
}

/// What all of them share in a round.
pub struct Modes {
    upstream: Upstream,
    company: Forward,
    /// Requests whose first arrival is reset.
    struck: Arc<Mutex<HashMap<String, Fault>>>,
}

impl Modes {
    pub async fn new(seed: u64) -> Self {
        let struck = Arc::new(Mutex::new(HashMap::<String, Fault>::new()));
        let connections = Plan::seeded(seed, CONNECTIONS, vec![Fault::ResetAtAccept, Fault::ResetInTls, Fault::CloseInTls]);
        let requests = struck.clone();
        let plan = Plan::by(move |moment| match moment {
            Moment::Connection { .. } => connections.choose(moment),
            Moment::Request { head, .. } => {
                let mut struck = requests.lock().unwrap_or_else(PoisonError::into_inner);
                head.header("x-soak-id").and_then(|id| struck.remove(id)).unwrap_or_default()
            }
        });
        let upstream = Upstream::tls(plan).unwrap();
        let company = Forward::leading_to(upstream.address()).await.unwrap();
        Self { upstream, company, struck }
    }

    /// The way to it; the other upstreams of the soak are on this machine.
    pub fn lead(&self, config: &mut Config) {
        let proxy = CompanyProxy::parse(&format!("http://{}", self.company.address()), "proxy.url").unwrap();
        config.proxy.url = ProxyChoice::Named(proxy);
        config.proxy.direct = NoProxy::parse(&["127.0.0.0/8".into()]);
    }

    pub fn authority(&self) -> Vec<u8> {
        self.upstream.authority().unwrap().to_vec()
    }

    /// Agents of both modes until then; the promises that were broken.
    pub async fn live(&self, engine: SocketAddr, config: &Config, seed: u64, until: Instant) -> Vec<String> {
        let mut agents = JoinSet::new();
        for client in 0..AGENTS * 2 {
            let agent = Agent {
                engine,
                control: config.paths.token_file(),
                authorities: config.paths.authority_dir(),
                real: self.authority(),
                struck: self.struck.clone(),
                decrypts: client % 2 == 0,
                client,
            };
            agents.spawn(agent.live(fastrand::Rng::with_seed(seed.wrapping_add(client)), until));
        }
        let seen: Vec<Seen> = agents.join_all().await.into_iter().flatten().collect();
        let (broken, ends) = judge(&seen, &self.upstream.log().record().requests);
        println!("  {} requests in tunnels, {ends:?}; {:?}", seen.len(), self.upstream.log().record().faults());
        broken
    }

    pub async fn stop(self) {
        self.upstream.stop().await;
    }
}

/// What each mode may see of the one reset that befalls a request, beside those of connections, which none may see.
fn judge(seen: &[Seen], requests: &[Request]) -> (Vec<String>, BTreeMap<&'static str, u64>) {
    let (mut broken, mut ends) = (Vec::new(), BTreeMap::new());
    let mut arrivals: HashMap<&str, Vec<&Request>> = HashMap::new();
    for request in requests {
        arrivals.entry(request.head.header("x-soak-id").unwrap_or_default()).or_default().push(request);
    }
    for one in seen {
        let arrived = arrivals.get(one.id.as_str()).map_or(&[][..], Vec::as_slice);
        let struck = arrived.iter().filter(|r| r.fault != Fault::None).count();
        let (_, _, _, again, holds) = ASKED[one.asked];
        let is_right = one.saw.as_ref().is_ok_and(|text| text.starts_with("HTTP/1.1 200 ") && text.contains(holds));
        let is_told = one.saw.as_ref().is_ok_and(|text| !text.starts_with("HTTP/1.1 200 "));
        let (end, is_allowed) = match (one.decrypts, is_right) {
            (true, true) if again => ("decrypted, right", arrived.len() > struck),
            (true, true) => ("decrypted, right", arrived.len() == 1 && struck == 0),
            (false, true) => ("tunnel, right", arrived.len() == 1 && struck == 0),
            // Repaired by nobody: the agent sees what has befallen the request, which came once.
            (false, false) if arrived.is_empty() => ("tunnel, late", one.took >= TUNNEL),
            (false, false) => ("tunnel, lost", arrived.len() == 1 && struck == 1 && one.saw.is_err()),
            (true, false) if !again && struck == 1 => ("decrypted, told", is_told && arrived.len() == 1),
            // On a busy machine the time for repair may be over before there is a connection.
            (true, false) => {
                ("decrypted, told late", is_told && one.asked != INFERENCE && one.took >= NEARLY && (again || arrived.is_empty()))
            }
        };
        *ends.entry(end).or_default() += 1;
        if !is_allowed {
            let faults: Vec<_> = arrived.iter().map(|r| r.fault.name()).collect();
            broken.push(format!("{end}, and must not be: {one:?}, arrived {faults:?}"));
        }
    }
    (broken, ends)
}

#[derive(Clone)]
struct Agent {
    engine: SocketAddr,
    control: PathBuf,
    authorities: PathBuf,
    /// The real server's authority.
    real: Vec<u8>,
    struck: Arc<Mutex<HashMap<String, Fault>>>,
    decrypts: bool,
    client: u64,
}

impl Agent {
    async fn live(self, mut dice: fastrand::Rng, until: Instant) -> Vec<Seen> {
        let token: String = (0..32).map(|_| dice.digit(16)).collect();
        let (tell, mut told) = watch::channel(None);
        let mut session = JoinSet::new();
        session.spawn(self.clone().session(token.clone(), tell));
        let authority = timeout(PATIENCE, told.wait_for(Option::is_some)).await.expect("a session in time").unwrap().clone();
        let root = match authority.flatten() {
            Some(id) => CertificateDer::from_pem_file(self.authorities.join(format!("{id}.crt"))).unwrap(),
            None => self.real.clone().into(),
        };
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let tls = TlsConnector::from(Arc::new(builder.with_no_client_auth()));
        let mut seen = Vec::new();
        for nth in 0.. {
            if Instant::now() >= until {
                break;
            }
            let (id, asked) = (format!("mode-{}-{nth}", self.client), dice.usize(0..ASKED.len()));
            if dice.u8(0..100) < REQUESTS {
                let fault = if dice.bool() { Fault::ResetBeforeHeaders } else { Fault::CloseBeforeHeaders };
                self.struck.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), fault);
            }
            let began = Instant::now();
            let saw = match timeout(PATIENCE, self.ask(&tls, &token, &id, asked)).await {
                Ok(saw) => saw.map_err(|e| e.to_string()),
                Err(_) => Err(format!("nothing within {PATIENCE:?}")),
            };
            self.struck.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            seen.push(Seen { id, decrypts: self.decrypts, asked, saw, took: began.elapsed() });
        }
        seen
    }

    /// Keeps the session open, as `wrap` does: with its token, and the authority that its agent was started with.
    async fn session(self, token: String, tell: watch::Sender<Option<Option<String>>>) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut authority = Value::Null;
        loop {
            let control = std::fs::read_to_string(&self.control).unwrap();
            let body =
                json!({ "agent": "claude", "pid": 1, "tunnel_token": token, "intercept": self.decrypts, "authority": authority });
            let url = format!("http://{}/_leeward/v1/sessions", self.engine);
            let Ok(mut stream) = http.post(url).bearer_auth(control.trim()).json(&body).send().await else { continue };
            let Ok(Some(first)) = stream.chunk().await else { continue };
            let told: Value = serde_json::from_slice(&first).unwrap();
            authority = told["authority"].clone();
            tell.send_replace(Some(authority.as_str().map(str::to_owned)));
            while let Ok(Some(_)) = stream.chunk().await {}
        }
    }

    async fn ask(&self, tls: &TlsConnector, token: &str, id: &str, asked: usize) -> io::Result<String> {
        let login = BASE64_STANDARD.encode(format!("leeward:{token}"));
        let head = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\nProxy-Authorization: Basic {login}\r\n\r\n");
        let mut stream = TcpStream::connect(self.engine).await?;
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::Error::other("no answer to a CONNECT"));
            }
        }
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
        }
        let mut stream = tls.connect(ServerName::try_from(HOST).unwrap(), stream).await?;
        let (method, path, body, ..) = ASKED[asked];
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nx-soak-id: {id}\r\nx-claude-code-session-id: {id}\r\nanthropic-version: 1\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await?;
        if got.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&got).into_owned())
    }
}
