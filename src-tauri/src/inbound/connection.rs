//! One client connection: hyper's HTTP/1.1 server on a `ClientIo`, and each request's way to its response.

use super::{
    awaiting::AwaitingFirstRequest,
    client::Client,
    client_io::ClientIo,
    client_stream::ClientStream,
    connection_state::{ConnectionState, InFlightGuard},
    dispatch::dispatch,
    farewell::close,
    guard, refusal,
    response::Answer,
    server::Inbound,
    tunnel::{self, After},
    websocket,
};
use crate::{admin::PROOF, control::Mode, exchange::Switched, message::headers};
use bytes::BytesMut;
use http::{HeaderValue, Request, Response, header::CONNECTION};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    future::ready,
    sync::{Arc, atomic::Ordering::Relaxed},
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};

/// Serves a connection to its end. `shed`: it is one too many, and every request on it is refused for that.
pub(super) async fn serve(
    inbound: Arc<Inbound>,
    stream: TcpStream,
    mut client: Client,
    shed: bool,
    awaiting: Arc<AwaitingFirstRequest>,
) {
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!("a client's socket could not be tuned: {e}");
    }
    let mut stream = ClientStream::Plain(stream);
    let mut mode = inbound.mode.clone();
    let mut first_byte = [0u8; 1];
    let mut awaiting = Some(awaiting);
    // What has been read of the next request.
    let mut came = BytesMut::new();
    loop {
        let limit = if awaiting.is_some() { inbound.config.client.first_request_timeout } else { inbound.config.client.idle };
        // Agents keep many connections that say nothing: each costs a socket and a small task, until it speaks.
        tokio::select! {
            // What has come before the end is still answered.
            biased;
            // Peeked, because tokio takes a new socket for readable until a read has failed.
            first = timeout(limit, stream.peek(&mut first_byte)), if came.is_empty() => match first {
                Ok(Ok(1..)) => {}
                Ok(_) => return, // the client has left
                Err(_) if awaiting.take().is_some() => continue,
                Err(_) => return close(&inbound, stream).await,
            },
            () = ready(()), if !came.is_empty() => {}
            () = Mode::reaches(&mut mode, Mode::Closing) => return close(&inbound, stream).await,
        }
        let begun = (stream, std::mem::take(&mut came));
        match Box::pin(speak(&inbound, begun, &client, shed, awaiting.take())).await {
            Next::Rests(resting) => stream = resting,
            Next::Tunnel(socket, asked, awaiting) => match Box::pin(tunnel::serve(&inbound, socket, asked, shed, awaiting)).await
            {
                After::Asks(kept) => stream = ClientStream::Plain(kept),
                After::Decrypted(decrypted, first, inside) => {
                    (stream, came, client.inside) = (*decrypted, first, Some(inside));
                }
                After::Over => return,
            },
            Next::WebSocket(stream, early, switched) => {
                return Box::pin(websocket::carry(&inbound, stream, early, switched)).await;
            }
            Next::Over => return,
        }
    }
}

/// What becomes of a connection whose requests hyper has served.
enum Next {
    /// It is idle.
    Rests(ClientStream),
    /// A CONNECT has come, and perhaps more; and what counts the connection as one that has not asked yet.
    Tunnel(TcpStream, BytesMut, Option<Arc<AwaitingFirstRequest>>),
    /// A request was answered with another protocol, of which its client may have sent some already.
    WebSocket(ClientStream, BytesMut, Box<Switched>),
    Over,
}

/// Serves requests until the connection ends, rests, or is to become a tunnel: then the bare socket comes back.
async fn speak(
    inbound: &Arc<Inbound>,
    begun: (ClientStream, BytesMut),
    client: &Client,
    shed: bool,
    awaiting: Option<Arc<AwaitingFirstRequest>>,
) -> Next {
    let config = &inbound.config;
    let state = Arc::<ConnectionState>::default();
    let limits = guard::head::HeadLimits { bytes: config.limits.header_bytes, fields: config.limits.header_count };
    let refuse = {
        let traffic = inbound.traffic.clone();
        Box::new(move |head: &[u8], refusal| refusal::refuse_raw(&traffic, head, refusal))
    };
    let io = ClientIo::new(begun, state.clone(), limits, config.client.clone(), refuse);
    let service = {
        let (inbound, state, awaiting) = (inbound.clone(), state.clone(), awaiting.clone());
        // Boxed, because hyper keeps room for the future of a request as long as the connection lives.
        service_fn(move |request| {
            let (inbound, state, busy, awaiting) = (inbound.clone(), state.clone(), InFlightGuard::new(&state), awaiting.clone());
            Box::pin(async move {
                let response = respond(&inbound, (&state, client), request, busy, shed).await;
                if let Some(awaiting) = awaiting {
                    awaiting.ends();
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
    let mut mode = inbound.mode.clone();
    let mut rest_check = Instant::now() + config.client.buffer_idle;
    let mut asked = 0;
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut connection => break ended,
            () = Mode::reaches(&mut mode, Mode::Closing) => {
                std::pin::Pin::new(&mut connection).graceful_shutdown();
                break (&mut connection).await;
            }
            () = sleep_until(rest_check) => {
                let now = state.requests();
                if now == asked && state.rests() {
                    // Between polls, with nothing read and nothing left to write, hyper's parts hold no byte of anybody's.
                    return Next::Rests(connection.into_parts().io.into_inner().into_stream());
                }
                (asked, rest_check) = (now, Instant::now() + config.client.buffer_idle);
            }
        }
    };
    let http1::Parts { io, read_buf, .. } = connection.into_parts();
    let mut io = io.into_inner();
    let switched = state.take_switched();
    if let Err(e) = ended {
        tracing::debug!("a client connection ended early: {e}");
        return Next::Over;
    }
    if let Some(switched) = switched {
        let (stream, came) = io.into_switched();
        return Next::WebSocket(stream, [&read_buf[..], &came].concat()[..].into(), switched);
    }
    // hyper says no farewell where another protocol was offered, whatever the answer to that was.
    if !io.is_connect() {
        io.shutdown().await.ok();
    }
    io.into_connect().map_or(Next::Over, |(stream, came)| Next::Tunnel(stream, came, awaiting))
}

async fn respond(
    inbound: &Arc<Inbound>,
    (state, client): (&ConnectionState, &Client),
    request: Request<Incoming>,
    busy: InFlightGuard,
    shed: bool,
) -> Response<Answer> {
    if headers::closes(request.version(), request.headers()) {
        busy.client_closes();
    }
    let has_body = !http_body::Body::is_end_stream(request.body());
    // Whoever asks for Leeward's proof goes on with its question on the same connection: `leeward status` is wanted most when there
    // are too many.
    let is_proof = request.uri().path() == PROOF;
    let mut response = dispatch(inbound, client, request, shed).await;
    // A response that comes before the request's last byte (refused, or an upload that failed): hyper closes after it, and a
    // client that does not learn this loses its next request.
    let early = has_body && state.body_open.load(Relaxed);
    if let Some(switched) = response.body_mut().take_switched() {
        state.switch(switched);
    } else if (shed && !is_proof) || early || *inbound.mode.borrow() != Mode::Serving {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| Answer { body, _busy: busy })
}
