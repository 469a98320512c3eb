//! One client connection: hyper's HTTP/1.1 server on a `ClientIo`, and each request's way to its answer.

use super::{
    Mode, Proxy,
    client_io::ClientIo,
    error::{self, Dialect, Error},
    forward, guard, headers,
    listen::Unspoken,
    own,
    reply::{Answer, Busy, Reply},
    route::{self, Route},
    said::Said,
};
use crate::status::traffic::Outcome;
use http::{HeaderValue, Method, Request, Response, header::CONNECTION};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering::Relaxed},
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};

/// Serves a connection to its end. `shed`: it is one too many, and every request on it is told so.
pub(super) async fn serve(proxy: Arc<Proxy>, mut stream: TcpStream, shed: bool, unspoken: Arc<Unspoken>) {
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!("a client's socket could not be tuned: {e}");
    }
    let mut mode = proxy.mode.clone();
    let mut first_byte = [0u8; 1];
    let mut unspoken = Some(unspoken);
    loop {
        let limit = if unspoken.is_some() { proxy.config.client.first_request_timeout } else { proxy.config.client.idle };
        // Agents keep many connections that say nothing: each costs a socket and a small task, until it speaks.
        tokio::select! {
            // What has come before the end is still answered.
            biased;
            // Peeked, because tokio takes a new socket for readable until a read has failed.
            first = timeout(limit, stream.peek(&mut first_byte)) => match first {
                Ok(Ok(1..)) => {}
                Ok(_) => return, // the client has left
                Err(_) if unspoken.take().is_some() => continue,
                Err(_) => return close(&proxy, stream).await,
            },
            () = Mode::reaches(&mut mode, Mode::Closing) => return close(&proxy, stream).await,
        }
        match Box::pin(speak(&proxy, stream, shed, unspoken.take())).await {
            Some(resting) => stream = resting,
            None => return,
        }
    }
}

/// Closes an idle connection: FIN, then time for the client's own.
async fn close(proxy: &Proxy, mut stream: TcpStream) {
    // A socket that is gone already needs no farewell.
    stream.shutdown().await.ok();
    timeout(proxy.config.client.linger, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await.ok();
}

/// Serves requests until the connection ends, or rests: then the bare socket comes back.
async fn speak(proxy: &Arc<Proxy>, stream: TcpStream, shed: bool, unspoken: Option<Arc<Unspoken>>) -> Option<TcpStream> {
    let config = &proxy.config;
    let said = Arc::<Said>::default();
    let limits = guard::head::HeadLimits { bytes: config.limits.header_bytes, fields: config.limits.header_count };
    let io = ClientIo::new(stream, said.clone(), limits, config.client.clone(), error::respond_raw);
    let service = {
        let (proxy, said) = (proxy.clone(), said.clone());
        // Boxed, because hyper keeps room for the future of a request as long as the connection lives.
        service_fn(move |request| {
            let (proxy, said, busy, unspoken) = (proxy.clone(), said.clone(), Busy::new(&said), unspoken.clone());
            Box::pin(async move {
                let response = respond(&proxy, &said, request, busy, shed).await;
                if let Some(unspoken) = unspoken {
                    unspoken.ends();
                }
                Ok::<_, Infallible>(response)
            })
        })
    };
    let mut connection = http1::Builder::new()
        .preserve_header_case(true)
        .auto_date_header(false)
        .header_read_timeout(None) // it would also end idle keep-alive connections; `ClientIo` has clocks of its own
        .max_headers(config.limits.header_count)
        .max_buf_size(config.limits.header_bytes.saturating_add(8 << 10).max(64 << 10))
        .serve_connection(TokioIo::new(io), service);
    let mut mode = proxy.mode.clone();
    let mut look = Instant::now() + config.client.buffer_idle;
    let mut asked = 0;
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut connection => break ended,
            () = Mode::reaches(&mut mode, Mode::Closing) => {
                std::pin::Pin::new(&mut connection).graceful_shutdown();
                break connection.await;
            }
            () = sleep_until(look) => {
                let now = said.requests();
                if now == asked && said.rests() {
                    // Between polls, with nothing read and nothing left to write, hyper's parts hold no byte of anybody's.
                    return Some(connection.into_parts().io.into_inner().into_stream());
                }
                (asked, look) = (now, Instant::now() + config.client.buffer_idle);
            }
        }
    };
    if let Err(e) = ended {
        tracing::debug!("a client connection ended early: {e}");
    }
    None
}

async fn respond(proxy: &Arc<Proxy>, said: &Said, request: Request<Incoming>, busy: Busy, shed: bool) -> Response<Answer> {
    if headers::closes(request.version(), request.headers()) {
        busy.client_closes();
    }
    let has_body = !http_body::Body::is_end_stream(request.body());
    let mut response = dispatch(proxy, request, shed).await;
    // An answer that comes before the request's last byte (refused, or an upload that failed): hyper closes behind it, and a
    // client that is not told so loses its next request.
    let early = has_body && said.body_open.load(Relaxed);
    if shed || early || *proxy.mode.borrow() != Mode::Serving {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|reply| Answer { reply, _busy: busy })
}

async fn dispatch(proxy: &Arc<Proxy>, request: Request<Incoming>, shed: bool) -> Response<Reply> {
    let target = request.uri().path_and_query().map_or("/", |t| t.as_str()).to_owned();
    let refuse = |error: &Error| {
        let mut ticket = proxy.shared.traffic.begin();
        ticket.noted(request.method().as_str(), &target);
        ticket.ends_as(Outcome::Refused);
        let response = error::respond(error, Dialect::of(target.split('?').next().unwrap_or_default(), request.headers()), 0);
        ticket.trace().status(response.status().as_u16());
        response
    };
    if let Err(refusal) = guard::check(&proxy.config, proxy.local, request.method(), request.uri(), request.headers()) {
        return refuse(&Error::Guard(refusal));
    }
    let (name, rest) = match route::route(&target) {
        Route::Own(path) => return own::show(proxy, path, request.method()),
        Route::Control(path) => return own::control(proxy, path, request).await,
        Route::Named { name, rest } => (Some(name), rest),
        Route::Default => (None, target.as_str()),
    };
    // After Leeward's own paths: `leeward status` and `restart` are wanted most when there are too many connections.
    if shed {
        return refuse(&Error::OverCap(proxy.config.limits.connections));
    }
    let Some(upstream) = proxy.upstream(name) else {
        return refuse(&Error::UnknownUpstream(name.unwrap_or_default().to_owned()));
    };
    // Claude Code asks this once at its start, right before it sends several requests at once.
    if request.method() == Method::HEAD && rest.starts_with("/api/hello") {
        upstream.origin.warm(proxy.config.connect.parallel);
    }
    let mut ticket = proxy.shared.traffic.begin();
    ticket.noted(request.method().as_str(), rest);
    forward::forward(proxy, upstream, rest, request, ticket).await
}
