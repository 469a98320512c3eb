//! CONNECT: a session's programs reach any host through Leeward, which carries their bytes and understands none.
//!
//! The session's token opens tunnels and nothing else. What is sent again is a TLS hello, and only until the server's first
//! byte has come. Never logs what a client sends.

mod admit;
mod answers;
pub mod hello;
mod relay;
mod replay;
pub mod request;
mod way;

use super::{
    awaiting::AwaitingFirstRequest,
    client_stream::ClientStream,
    intercept::{self, Inside},
    server::Inbound,
};
use crate::{
    status::{faults::Cause, tunnels::TunnelEnd},
    telemetry::TunnelTicket,
    upstream::Blind,
};
use admit::Admitted;
use answers::{ESTABLISHED, refuse, unreachable};
use bytes::{Buf, BytesMut};
pub(super) use request::is_connect;
use std::sync::Arc;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::Instant};
use way::{REACH_WITHIN, Way};

/// What follows a CONNECT.
pub(super) enum After {
    /// Its client may ask again.
    Asks(TcpStream),
    /// Its TLS ends here: the rest is requests, of which this has come.
    Decrypted(Box<ClientStream>, BytesMut, Arc<Inside>),
    Over,
}

impl From<Option<TcpStream>> for After {
    fn from(kept: Option<TcpStream>) -> Self {
        kept.map_or(Self::Over, Self::Asks)
    }
}

/// Serves the CONNECT that `came` begins with.
pub(super) async fn serve(
    inbound: &Inbound,
    mut client: TcpStream,
    came: BytesMut,
    shed: bool,
    awaiting: Option<Arc<AwaitingFirstRequest>>,
) -> After {
    let asked = request::parse(&came);
    let shown = asked.as_ref().map_or_else(|_| "-".to_owned(), |(asked, _)| asked.shown());
    let mut ticket = TunnelTicket::begin(&inbound.traffic, &shown);
    // An ending engine waits for one of the two.
    drop(awaiting);
    let (asked, end) = match asked {
        Ok(asked) => asked,
        Err(why) => return refuse(inbound, &ticket, client, &answers::invalid(why)).await.into(),
    };
    if shed {
        let meaning = super::refusal::over_cap(inbound.config.limits.connections);
        return refuse(inbound, &ticket, client, &meaning).await.into();
    }
    let key = match admit::admit(inbound, &asked, &client, &mut ticket).await {
        Admitted::Key(key) => key,
        Admitted::NoKey => return answers::ask_for_token(inbound, &ticket, client, came.len() > end).await.into(),
        Admitted::TooManyWait => return refuse(inbound, &ticket, client, &answers::too_many_wait()).await.into(),
        Admitted::ClientLeft => {
            ticket.ends_as(TunnelEnd::ClientGone);
            return After::Over;
        }
    };
    ticket.of_session(&key.agent, &key.id, key.session);
    let warms = key.is_first_use() && key.egress.is_none();
    let candidate = intercept::candidate(inbound, &key, &asked, &came[..end]);
    let mut first = came;
    first.advance(end);
    let way = Way { inbound, target: asked.target, egress: key.egress };
    if let Err(meaning) = way.is_allowed() {
        return refuse(inbound, &ticket, client, &meaning).await.into();
    }
    if warms {
        // Behind a proxy an agent does not say hello to its API: its first CONNECT is the sign that requests come.
        inbound.upstreams.warm_pools_of(&way.target, inbound.config.connect.parallel);
    }
    let mut is_told = false;
    if let Some(candidate) = candidate {
        match intercept::serve(inbound, candidate, client, first, ESTABLISHED).await {
            intercept::Ended::Decrypted(stream, first, inside) => {
                ticket.is_decrypted();
                return After::Decrypted(stream, first, inside);
            }
            intercept::Ended::Blind(socket, hello) => (client, first, is_told) = (socket, hello, true),
            intercept::Ended::Over => {
                ticket.ends_as(TunnelEnd::ClientGone);
                return After::Over;
            }
        }
    }
    blind(way, ticket, client, first, is_told).await;
    After::Over
}

/// The connection goes to its host as it is. `is_told`: the client knows that its tunnel stands.
async fn blind(way: Way<'_>, mut ticket: TunnelTicket, mut client: TcpStream, first: BytesMut, is_told: bool) {
    ticket.connects();
    // Boxed, like the next step: a tunnel lives long, and room for what comes before it need not.
    let server = match Box::pin(way.dial(&[], Instant::now() + REACH_WITHIN)).await {
        Ok(server) => server,
        Err(failure) => {
            if failure.cause != Cause::Loop {
                ticket.fails(failure.cause);
            }
            if is_told {
                return relay::reset(client);
            }
            refuse(way.inbound, &ticket, client, &unreachable(&way.target, &failure)).await;
            return;
        }
    };
    ticket.opens();
    if !is_told && client.write_all(ESTABLISHED).await.is_err() {
        return;
    }
    match Box::pin(replay::until_first_byte(&way, &mut ticket, &mut client, server, first)).await {
        replay::Opened::Carries(server, closed) => carry(way, ticket, client, server, closed).await,
        replay::Opened::Lost => relay::reset(client),
        replay::Opened::ClientLeft => {}
        replay::Opened::Ends => ticket.ends_as(TunnelEnd::Cut),
    }
}

/// Carries bytes until both ends have closed, one is reset, or the engine ends.
async fn carry(way: Way<'_>, mut ticket: TunnelTicket, client: TcpStream, server: Blind, closed: relay::Closed) {
    let mode = way.inbound.mode.clone();
    drop(way);
    let end = relay::both(client, server, &ticket, closed, mode).await;
    ticket.ends_as(end);
}
