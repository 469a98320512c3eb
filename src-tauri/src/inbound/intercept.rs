//! Whether a tunnel's TLS ends here: it does where its session says so, its host is in the table, and its program looks like
//! an agent that trusts our certificate. In every doubt the tunnel stays blind, with what has been read of it.

mod handshake;
pub mod hello;
pub(super) mod inside;
mod registry;
pub mod shape;

pub(super) use inside::Inside;

use super::{client_stream::ClientStream, server::Inbound, tunnel::request::Connect};
use crate::{
    authority,
    control::{Interception, TunnelKey},
};
use bytes::BytesMut;
use hello::Hello;
use shape::Shape;
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// Hellos that are larger are nobody's that is known; the tunnel does not send them twice either.
const MOST_OF_HELLO: usize = 16 << 10;
/// Connections that a session's first tunnel to a host makes in advance.
const WARM: usize = 4;

/// A tunnel whose TLS may end here.
pub(super) struct Candidate {
    interception: Arc<Interception>,
    authority: String,
    host: String,
    shape: Shape,
    agent: String,
    session: String,
    session_number: u64,
}

/// What became of it.
pub(super) enum Ended {
    /// Decrypted, and the first bytes of its first request.
    Decrypted(Box<ClientStream>, BytesMut, Arc<Inside>),
    /// To be tunnelled as it is, with what has come of it. The client has been told that the tunnel stands.
    Blind(TcpStream, BytesMut),
    /// The client has left.
    Over,
}

/// May this tunnel's TLS end here? `head`: its CONNECT.
pub(super) fn candidate(inbound: &Inbound, key: &TunnelKey, asked: &Connect, head: &[u8]) -> Option<Candidate> {
    let interception = key.interception.as_ref()?;
    let authority = interception.authority.clone()?;
    let host = asked.target.host.to_ascii_lowercase();
    if asked.target.port != 443 || !authority::is_intercepted(&key.agent, &host) {
        return None;
    }
    let shape = Shape::of(head).filter(Shape::is_agents)?;
    if !interception.may(&host, shape.as_str()) {
        return None;
    }
    // Before the client has been told anything: a key that is gone costs it nothing.
    if let Err(trouble) = inbound.authority.server(&authority, &host) {
        interception.tell(&host, &format!("Connections are tunnelled without decryption: {trouble}."));
        return None;
    }
    Some(Candidate {
        interception: interception.clone(),
        authority,
        host,
        shape,
        agent: key.agent.clone(),
        session: key.id.clone(),
        session_number: key.session,
    })
}

/// Tells the client that the tunnel stands, looks at its hello, and ends its TLS here where that can be done.
pub(super) async fn serve(
    inbound: &Inbound,
    candidate: Candidate,
    mut client: TcpStream,
    mut came: BytesMut,
    established: &[u8],
) -> Ended {
    if client.write_all(established).await.is_err() {
        return Ended::Over;
    }
    let Candidate { interception, authority, host, .. } = &candidate;
    let upstream = inbound.upstreams.of_host(host, interception.upstreams.get(host).map(String::as_str));
    if interception.warms(host)
        && let Some(upstream) = &upstream
    {
        upstream.origin.warm(WARM.min(inbound.config.connect.parallel));
    }
    let deadline = Instant::now() + inbound.config.client.head;
    let mut hello = Hello::default();
    let mut looked = 0;
    let seen = loop {
        match hello.look(&came[looked..]) {
            hello::Look::More if came.len() < MOST_OF_HELLO => looked = came.len(),
            hello::Look::More => break Err("their TLS hello is larger than 16 KiB"),
            hello::Look::NotTls => break Err("what they carry is not TLS"),
            hello::Look::Seen(seen) => break seen.fits(host),
        }
        // More than a hello is not read: what follows it is the handshake's.
        match timeout_at(deadline, client.read_buf(&mut came)).await {
            Ok(Ok(1..)) => {}
            Ok(_) => return Ended::Over,
            Err(_) => break Err("no TLS hello came in time"),
        }
    };
    let server = match seen {
        Ok(()) => inbound.authority.server(authority, host).map_err(|trouble| trouble.to_string()),
        Err(why) => Err(why.to_owned()),
    };
    match server {
        Ok(server) => handshake::end(candidate, server, (client, came), deadline).await,
        Err(why) => {
            interception.refuses(
                host,
                candidate.shape.as_str(),
                &format!("Connections to {host} are tunnelled without decryption: {why}."),
            );
            Ended::Blind(client, came)
        }
    }
}
