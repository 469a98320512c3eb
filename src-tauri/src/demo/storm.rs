//! The first seed: clients that reset their connection while it is being accepted, and a `/health` between each two.

use super::client::{Client, Request};
use serde::Serialize;
use socket2::SockRef;
use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

/// Limit of one `/health`.
const HEALTH: Duration = Duration::from_secs(5);
/// Limit of one connect; a full accept queue must not stop the storm.
const CONNECT: Duration = Duration::from_secs(5);

/// What a client sends before it resets: nothing, half a request, a request whose response takes a while, half a body.
const SHAPES: [&[u8]; 4] = [
    b"",
    b"GET /health HT",
    b"GET /slow?ms=50 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{\"mo",
];

/// How a listener came through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Storm {
    /// Connections that were made and reset.
    pub resets: u64,
    /// Connections that could not be made any more.
    pub refused: u64,
    /// `/health` answered with 200.
    pub health_ok: u64,
    /// `/health` not answered.
    pub health_failed: u64,
    /// Clients after which the first `/health` failed, if one did.
    pub lost_after: Option<u64>,
    /// True when the last `/health` was answered.
    pub alive: bool,
    /// Half of the answered `/health` took at most this long, in microseconds.
    pub health_p50_us: u64,
    /// The slowest answered `/health`, in microseconds.
    pub health_max_us: u64,
    /// The whole storm, in milliseconds.
    pub took_ms: u64,
}

/// Sends `clients` of them, one after the other; `step` is called after each.
pub(super) async fn strike(target: SocketAddr, clients: u64, step: &mut (dyn FnMut(u64) + Send)) -> Storm {
    let began = Instant::now();
    let health = Request { method: "GET", target: "/health", body: String::new(), start: None };
    let asker = Client::plain(target);
    let (mut resets, mut ok, mut lost_after, mut alive) = (0, 0, None, false);
    let mut latencies = Vec::new();
    for client in 0..clients {
        resets += u64::from(reset(target, SHAPES[client as usize % SHAPES.len()]).await.is_ok());
        let asked = Instant::now();
        alive = matches!(asker.ask(&health, HEALTH).await, Ok(answer) if answer.status == 200);
        if alive {
            ok += 1;
            latencies.push(asked.elapsed().as_micros() as u64);
        } else {
            lost_after.get_or_insert(client + 1);
        }
        step(client + 1);
    }
    latencies.sort_unstable();
    Storm {
        resets,
        refused: clients - resets,
        health_ok: ok,
        health_failed: clients - ok,
        lost_after,
        alive,
        health_p50_us: latencies.get(latencies.len() / 2).copied().unwrap_or(0),
        health_max_us: latencies.last().copied().unwrap_or(0),
        took_ms: began.elapsed().as_millis() as u64,
    }
}

/// One client. On a thread of its own and without a pause between connect and RST, so that the RST comes while the
/// connection is still being accepted, as it did in the report.
async fn reset(target: SocketAddr, shape: &'static [u8]) -> io::Result<()> {
    let client = move || {
        let mut stream = TcpStream::connect_timeout(&target, CONNECT)?;
        // With it the close below is an RST, not a FIN.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        stream.write_all(shape)
    };
    spawn_blocking(client).await.map_err(io::Error::other)?
}
