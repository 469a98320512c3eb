//! A tunnel until the server's first byte: a connection that breaks before it is replaced, and the hello sent again.

use super::{hello::Hello, relay::Closed, way::Way};
use crate::{control::Mode, status::faults::Cause, telemetry::TunnelTicket, upstream::Blind};
use bytes::BytesMut;
use std::{future::pending, io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until},
};

/// Fresh connections for one tunnel.
const REPLAYS: u32 = 5;
/// Breaks this long after the hello are the client's to see. A silence begins it anew.
const WITHIN: Duration = Duration::from_secs(4);
/// A server that says nothing for this long gets a fresh connection.
const SILENCE: Duration = Duration::from_secs(8);

/// What became of it.
pub(super) enum Opened {
    /// Both ends talk; and what is closed already.
    Carries(Blind, Closed),
    /// The server is lost.
    Lost,
    ClientLeft,
    /// The engine ends.
    Ends,
}

enum Event {
    Client(io::Result<usize>),
    Server(io::Result<usize>),
    /// The server did not take what was sent.
    Unsent,
    Silence,
    Ends,
}

/// Carries bytes until the server's first one has reached the client. `first`: what came with the CONNECT.
pub(super) async fn until_first_byte(
    way: &Way<'_>,
    ticket: &mut TunnelTicket,
    client: &mut TcpStream,
    mut server: Blind,
    first: BytesMut,
) -> Opened {
    let (mut hello, mut closed) = (Hello::default(), Closed::default());
    let (mut replays, mut broke) = (0, Vec::<SocketAddr>::new());
    let mut since: Option<Instant> = None;
    let (mut up, mut down) = (vec![0u8; 16 << 10], vec![0u8; 16 << 10]);
    let mut alive = true;
    let mut mode = way.inbound.mode.clone();
    if !first.is_empty() {
        hello.add(&first);
        since = Some(Instant::now());
        ticket.up(first.len() as u64);
        alive = send(&mut server, &first).await.is_ok();
    }
    loop {
        let silence =
            since.filter(|_| hello.again().is_some() && replays < REPLAYS && !closed.client).map(|since| since + SILENCE);
        let event = if alive {
            tokio::select! {
                read = server.read(&mut down) => Event::Server(read),
                read = client.read(&mut up), if !closed.client => Event::Client(read),
                () = until(silence) => Event::Silence,
                () = Mode::reaches(&mut mode, Mode::Closing) => Event::Ends,
            }
        } else {
            Event::Unsent
        };
        let mut is_end = false;
        let cause = match event {
            Event::Ends => return Opened::Ends,
            Event::Client(Err(_)) => {
                server.reset();
                return Opened::ClientLeft;
            }
            Event::Client(Ok(0)) => {
                closed.client = true;
                alive = server.shutdown().await.is_ok();
                continue;
            }
            Event::Client(Ok(n)) => {
                hello.add(&up[..n]);
                since.get_or_insert_with(Instant::now);
                ticket.up(n as u64);
                alive = send(&mut server, &up[..n]).await.is_ok();
                continue;
            }
            Event::Server(Ok(n)) if n > 0 => {
                ticket.down(n as u64);
                ticket.first_byte();
                if client.write_all(&down[..n]).await.is_err() {
                    server.reset();
                    return Opened::ClientLeft;
                }
                return Opened::Carries(server, closed);
            }
            Event::Server(Ok(_)) => {
                is_end = true;
                Cause::Tls
            }
            Event::Server(Err(_)) | Event::Unsent => Cause::Tls,
            Event::Silence => {
                since = Some(Instant::now());
                Cause::ResponseTimeout
            }
        };
        let now = Instant::now();
        let deadline = since.unwrap_or(now) + WITHIN;
        let Some(kept) = hello.again().filter(|_| replays < REPLAYS && now < deadline && !closed.client) else {
            // Its end is forwarded as an end, its reset as a reset.
            if is_end {
                // A server that ends a handshake without a word has not served it.
                if hello.again().is_some_and(|kept| !kept.is_empty()) {
                    ticket.fails(cause);
                }
                return Opened::Carries(server, closed);
            }
            ticket.fails(cause);
            return Opened::Lost;
        };
        replays += 1;
        ticket.reconnects(cause, !kept.is_empty());
        ticket.connects();
        broke.extend(server.peer());
        server.reset();
        server = match way.dial(&broke, deadline).await {
            Ok(server) => server,
            Err(failure) => {
                ticket.fails(failure.cause);
                return Opened::Lost;
            }
        };
        ticket.reconnected();
        alive = send(&mut server, kept).await.is_ok();
    }
}

async fn send(server: &mut Blind, bytes: &[u8]) -> io::Result<()> {
    server.write_all(bytes).await?;
    server.flush().await
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
