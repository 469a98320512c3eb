//! An API's edge with a short queue: it takes connections out of it slowly and resets those that find it full.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, rustls};

/// What every request is answered with.
pub const ANSWER: &str = r#"{"type":"message"}"#;

/// The running edge; dropped with its tasks.
pub struct Edge {
    pub address: SocketAddr,
    /// DER, of a TLS edge.
    pub authority: Option<Vec<u8>>,
    /// Connections that came.
    pub came: Arc<AtomicU64>,
    /// Those of them that found the queue full.
    pub overflowed: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Edge {
    /// `queue`: connections that may wait; `every`: the pause before each is taken out, the first of them once `first` came.
    pub async fn start(queue: usize, every: Duration, first: u64, tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, authority) = if tls { certificate() } else { (None, None) };
        let (came, overflowed) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (send, mut waiting) = mpsc::channel::<TcpStream>(queue);
        let mut tasks = JoinSet::new();
        let another = Arc::new(Notify::new());
        {
            let (came, overflowed, comes) = (came.clone(), overflowed.clone(), another.clone());
            tasks.spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    came.fetch_add(1, Relaxed);
                    comes.notify_one();
                    if let Err(full) = send.try_send(stream) {
                        overflowed.fetch_add(1, Relaxed);
                        SockRef::from(&full.into_inner()).set_linger(Some(Duration::ZERO)).ok();
                    }
                }
            });
        }
        let arrived = came.clone();
        tasks.spawn(async move {
            while arrived.load(Relaxed) < first {
                another.notified().await;
            }
            let mut served = JoinSet::new();
            while let Some(stream) = waiting.recv().await {
                tokio::time::sleep(every).await;
                let acceptor = acceptor.clone();
                served.spawn(async move {
                    match acceptor {
                        None => serve(stream).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, authority, came, overflowed, _tasks: tasks }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", if self.authority.is_some() { "https" } else { "http" }, self.address)
    }
}

async fn serve(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let answer = service_fn(async |request: Request<Incoming>| {
        request.into_body().collect().await.ok();
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes()))))
    });
    // A connection that its client leaves is not this file's matter.
    http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.ok();
}

fn certificate() -> (Option<TlsAcceptor>, Option<Vec<u8>>) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    let der = made.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], key)
        .unwrap();
    (Some(TlsAcceptor::from(Arc::new(config))), Some(der.to_vec()))
}
