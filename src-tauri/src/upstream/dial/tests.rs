//! One dial against scripted listeners: which hello goes where, what is remembered, and what another network forgets.

use super::{order::alternate, *};
use crate::network::Network;
use std::sync::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// A hello larger than this is a post-quantum one.
const LARGE: u16 = 1200;

/// What a middlebox does to a hello.
#[derive(Clone, Copy)]
enum WriteOutcome {
    Pass,
    Reset,
}

type Judge = fn(large: bool) -> WriteOutcome;

/// A TLS server behind a middlebox; ends with its task set.
struct Middlebox {
    address: SocketAddr,
    /// Whether each hello was large.
    seen: Arc<Mutex<Vec<bool>>>,
    _tasks: JoinSet<()>,
}

impl Middlebox {
    async fn start(acceptor: &TlsAcceptor, at: &str, judge: Judge) -> std::io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let seen = Arc::<Mutex<Vec<bool>>>::default();
        let mut tasks = JoinSet::new();
        let (log, acceptor) = (seen.clone(), acceptor.clone());
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, acceptor.clone(), judge, log.clone()));
            }
        });
        Ok(Self { address, seen, _tasks: tasks })
    }

    fn seen(&self) -> Vec<bool> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, judge: Judge, log: Arc<Mutex<Vec<bool>>>) {
    let mut header = [0; 5];
    while stream.peek(&mut header).await.is_ok_and(|n| n < 5) {
        tokio::task::yield_now().await;
    }
    let large = u16::from_be_bytes([header[3], header[4]]) > LARGE;
    log.lock().unwrap().push(large);
    match judge(large) {
        WriteOutcome::Reset => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
        WriteOutcome::Pass => {
            let Ok(_open) = acceptor.accept(stream).await else { return };
            std::future::pending().await
        }
    }
}

struct Bench {
    acceptor: TlsAcceptor,
    network: watch::Sender<Network>,
    config: Config,
    context: Arc<DialContext>,
    budget: Budget,
    _home: tempfile::TempDir,
}

fn bench(tune: impl FnOnce(&mut Config)) -> Bench {
    let home = tempfile::tempdir().unwrap();
    let mut config = Config::under(home.path()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let cert = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    config.trust = crate::config::Trust::Only(vec![cert.der().to_vec()]);
    tune(&mut config);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let (network, seen) = watch::channel(Network::default());
    let context = Arc::new(DialContext::new(&config, Arc::new(crate::upstream::paths::PathCache::new(seen)), config.listen));
    let budget = Budget::new(&config.retry);
    Bench { acceptor: TlsAcceptor::from(Arc::new(server)), network, config, context, budget, _home: home }
}

impl Bench {
    async fn middlebox(&self, judge: Judge) -> Middlebox {
        Middlebox::start(&self.acceptor, "127.0.0.1:0", judge).await.unwrap()
    }

    async fn dial(&self, host: &str, port: u16, tls: bool) -> Result<Made, Failure> {
        let endpoint = Endpoint { tls, host: host.into(), port };
        Dial::new(&endpoint, &self.config, &self.context, &self.budget).run().await
    }
}

fn breaks_large(large: bool) -> WriteOutcome {
    if large { WriteOutcome::Reset } else { WriteOutcome::Pass }
}

#[tokio::test]
async fn u2_a_broken_post_quantum_hello_is_followed_by_a_classical_one_and_remembered_for_the_network() {
    let bench = bench(|_| {});
    let middle = bench.middlebox(breaks_large).await;
    let dial = || bench.dial("127.0.0.1", middle.address.port(), true);
    for _ in 0..3 {
        assert_eq!(dial().await.unwrap().dial_faults, [Cause::Tls]);
        assert_eq!(middle.seen(), [true, false], "one reset may have another reason, and two");
    }
    assert_eq!(dial().await.unwrap().dial_faults, []);
    assert_eq!(middle.seen(), [false], "known: classical at once");
    bench.network.send_replace(Network { epoch: 1, fingerprint: 5 });
    for _ in 0..3 {
        dial().await.unwrap();
        assert_eq!(middle.seen(), [true, false], "another network is asked");
    }
    bench.network.send_replace(Network { epoch: 2, fingerprint: 5 });
    dial().await.unwrap();
    assert_eq!(middle.seen(), [false], "the same network under its fingerprint");
}

#[tokio::test]
async fn u2_classical_by_config_never_sends_a_post_quantum_hello() {
    let bench = bench(|c| c.tls.key_share = crate::config::KeyShare::Classical);
    let middle = bench.middlebox(|_| WriteOutcome::Pass).await;
    bench.dial("127.0.0.1", middle.address.port(), true).await.unwrap();
    assert_eq!(middle.seen(), [false]);
}

#[tokio::test]
async fn u2_a_path_that_breaks_every_hello_is_tried_with_both_and_told() {
    let bench = bench(|_| {});
    let middle = bench.middlebox(|_| WriteOutcome::Reset).await;
    let failure = bench.dial("127.0.0.1", middle.address.port(), true).await.err().unwrap();
    assert_eq!((failure.cause, middle.seen()), (Cause::Tls, vec![true, false]));
    bench.dial("127.0.0.1", middle.address.port(), true).await.err().unwrap();
    assert_eq!(middle.seen(), [true, false], "nothing was learned from it");
}

#[tokio::test]
async fn u1_a_family_whose_tls_breaks_goes_last_afterwards() {
    let bench = bench(|_| {});
    let Ok(six) = Middlebox::start(&bench.acceptor, "[::1]:0", |_| WriteOutcome::Reset).await else {
        eprintln!("SKIP: this machine has no ::1");
        return;
    };
    let port = six.address.port();
    let Ok(four) = Middlebox::start(&bench.acceptor, &format!("127.0.0.1:{port}"), |_| WriteOutcome::Pass).await else {
        eprintln!("SKIP: port {port} is not free on 127.0.0.1");
        return;
    };
    let both: Vec<SocketAddr> = vec![six.address, four.address];
    let endpoint = Endpoint { tls: true, host: "localhost".into(), port };
    let dial = Dial::new(&endpoint, &bench.config, &bench.context, &bench.budget);
    let next = Next { proxy: None, host: "localhost", port, address: None };
    // The system's resolver may know only one of them, so the list is given.
    let made = dial.race(&next, bench.context.cache.order(("localhost", port), both.clone())).await.unwrap();
    assert_eq!((made.socket.peer(), made.dial_faults), (Some(four.address), vec![Cause::Tls]));
    assert_eq!(bench.context.cache.order(("localhost", port), both.clone()), [four.address, six.address]);
    six.seen();
    dial.race(&next, bench.context.cache.order(("localhost", port), both.clone())).await.unwrap();
    assert_eq!(six.seen(), Vec::<bool>::new(), "it was not asked again");
    bench.network.send_replace(Network { epoch: 1, fingerprint: 0 });
    assert_eq!(bench.context.cache.order(("localhost", port), both.clone()), both, "another network is asked");
}

#[tokio::test]
async fn a_name_without_an_answer_is_looked_for_where_it_was() {
    let bench = bench(|c| c.connect.dns_timeout = Duration::from_millis(500));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let dial = || bench.dial("name.invalid", address.port(), false);
    assert_eq!(dial().await.err().map(|f| f.cause), Some(Cause::Dns));
    let host = ("name.invalid", address.port());
    bench.context.cache.ended(&Ended { host, won: address, failed: &[], quarantine: Duration::ZERO });
    assert!(dial().await.is_ok());
}

#[test]
fn families_take_turns() {
    let list = |text: &[&str]| text.iter().map(|a| a.parse().unwrap()).collect::<Vec<SocketAddr>>();
    assert_eq!(
        alternate(list(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"])),
        list(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"])
    );
    assert_eq!(alternate(list(&["1.1.1.1:1", "1.1.1.2:1"])), list(&["1.1.1.1:1", "1.1.1.2:1"]));
    assert_eq!(alternate(vec![]), vec![]);
}

/// A dial may be several connections to whoever is dialled: each of them counts.
#[tokio::test]
async fn every_connection_that_was_tried_in_vain_costs_budget() {
    let began = std::time::Instant::now();
    let bench = bench(|c| (c.retry.budget, c.retry.budget_floor) = (0.0, 1));
    let picky = bench.middlebox(|large| if large { WriteOutcome::Reset } else { WriteOutcome::Pass }).await;
    assert!(bench.dial("127.0.0.1", picky.address.port(), true).await.is_ok());
    let deaf = bench.middlebox(|_| WriteOutcome::Reset).await;
    assert!(bench.dial("127.0.0.1", deaf.address.port(), true).await.is_err());
    let tried = picky.seen().len() - 1 + deaf.seen().len();
    assert!(tried >= 2, "{tried}");
    // The bucket held ten, and gets one a second.
    let left = (0..20).take_while(|_| bench.budget.withdraw(true)).count();
    let refilled = began.elapsed().as_secs() as usize;
    assert!((10 - tried..=10 - tried + refilled).contains(&left), "{left} left after {tried}");
}
