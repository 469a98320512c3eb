//! The upstream that every proxy forwards to: hyper on one thread, plain or TLS. It answers at once what the query asks
//! for: `?answer=BYTES` of JSON, or `?events=N&gap_ms=M` as a stream of server-sent events, each with the time it was sent;
//! `&gzip=1` compresses them and flushes behind each.

use crate::{args, clock, wire};
use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::stream;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{Request, Response, body::Frame, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use socket2::{Domain, Socket, Type};
use std::{
    collections::HashMap,
    convert::Infallible,
    io::{self, Write},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

/// A response's size when the query does not say.
const ANSWER: usize = 1024;
/// Connections that may wait to be accepted: 5,000 clients come at once.
const BACKLOG: i32 = 8192;

/// Serves until it is killed.
pub(crate) fn run(args: &args::Upstream) -> Result<()> {
    let tls = match (&args.certificate, &args.key) {
        (Some(certificate), Some(key)) => Some(acceptor(certificate, key)?),
        _ => None,
    };
    crate::machine::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(args.address, tls))
}

fn acceptor(certificate: &std::path::Path, key: &std::path::Path) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<std::result::Result<Vec<_>, _>>()?;
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A listener whose queue holds thousands.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

async fn serve(address: SocketAddr, tls: Option<TlsAcceptor>) -> Result<()> {
    let listener = listen(address).with_context(|| format!("cannot listen on {address}"))?;
    let mut connections = JoinSet::new();
    let answers: Arc<HashMap<usize, Bytes>> =
        Arc::new([256, 1024, 64 << 10].into_iter().map(|size| (size, Bytes::from(wire::message(size)))).collect());
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                stream.set_nodelay(true).ok();
                let (tls, answers) = (tls.clone(), Arc::clone(&answers));
                connections.spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(stream, answers).await;
                            }
                        }
                        None => connection(stream, answers).await,
                    }
                });
            }
            Some(_) = connections.join_next() => (),
        }
    }
}

async fn connection(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
    answers: Arc<HashMap<usize, Bytes>>,
) {
    let service = service_fn(move |request| answer(request, Arc::clone(&answers)));
    http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await.ok();
}

type Body = Either<Full<Bytes>, http_body_util::combinators::BoxBody<Bytes, Infallible>>;

async fn answer(request: Request<Incoming>, answers: Arc<HashMap<usize, Bytes>>) -> Result<Response<Body>, hyper::Error> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    let asked = |name: &str| {
        let value = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.parse::<usize>().ok())
    };
    if let Some(events) = asked("events") {
        let gap = Duration::from_millis(asked("gap_ms").unwrap_or(1) as u64);
        let gzip = asked("gzip") == Some(1);
        let mut response = Response::new(Either::Right(BodyExt::boxed(StreamBody::new(events_of(events, gap, gzip)))));
        if gzip {
            response.headers_mut().insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
        }
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
        return Ok(response);
    }
    let size = asked("answer").unwrap_or(ANSWER);
    let bytes = answers.get(&size).cloned().unwrap_or_else(|| wire::message(size).into());
    let mut response = Response::new(Either::Left(Full::new(bytes)));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    Ok(response)
}

/// As an Anthropic stream: its start and the first words at once, then an event each `gap`, then its end.
fn events_of(
    count: usize,
    gap: Duration,
    gzip: bool,
) -> impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + Sync + 'static {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"bench\"}}\n\n\
                 event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0}\n\n";
    let coder = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    stream::unfold((0, None::<tokio::time::Interval>, coder), move |(at, pace, mut coder)| async move {
        let mut pace = pace.unwrap_or_else(|| tokio::time::interval_at(tokio::time::Instant::now() + gap, gap));
        let text = match at {
            0 => format!("{start}{}", event()),
            _ if at < count => {
                pace.tick().await;
                event()
            }
            _ if at == count => "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned(),
            _ => return None,
        };
        let bytes = match (coder.take(), at == count) {
            (None, _) => text.into_bytes(),
            // Writing to memory fails never.
            (Some(mut whole), true) => whole.write_all(text.as_bytes()).and_then(|()| whole.finish()).ok()?,
            (Some(mut open), false) => {
                open.write_all(text.as_bytes()).and_then(|()| open.flush()).ok()?;
                let bytes = std::mem::take(open.get_mut());
                coder = Some(open);
                bytes
            }
        };
        Some((Ok(Frame::data(Bytes::from(bytes))), (at + 1, Some(pace), coder)))
    })
}

/// A few words, the last of which is the time at which they are sent: text survives also those who write events anew.
fn event() -> String {
    format!(
        "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\
         \"delta\":{{\"type\":\"text_delta\",\"text\":\"calm water t={:020} \"}}}}\n\n",
        clock::now()
    )
}
