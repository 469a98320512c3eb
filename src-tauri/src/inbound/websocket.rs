//! WebSockets: which are carried, and the bytes of one from its handshake's response to its end. What leads to that response is a
//! request like others (`exchange`); frames are nobody's business here.

use super::{
    client_stream::ClientStream,
    farewell::close,
    server::Inbound,
    splice::{Flow, Spliced, splice},
};
use crate::{
    config::WebSocket,
    exchange::{self, Switched},
    status::websockets::WebSocketEnd,
    upstream::Upstream,
};
use bytes::BytesMut;
use tokio::time::timeout;

/// Whether a WebSocket is refused at this path of an upstream (`rest`: without the upstream's own).
pub(super) fn is_refused(upstream: &Upstream, rest: &str) -> bool {
    match upstream.websocket {
        Some(choice) => choice == WebSocket::Refuse,
        // The same inference streams over HTTP, where what breaks can be repaired: its agent goes on so at once.
        None => streams_over_http(upstream, rest),
    }
}

/// Whether the same can be asked for over HTTP, in a stream.
pub(super) fn streams_over_http(upstream: &Upstream, rest: &str) -> bool {
    upstream.target(rest).is_some_and(|target| exchange::is_inference(target.path()))
}

/// Carries bytes until both ends have closed, one is reset, or the engine ends. `early`: what the client sent without waiting for
/// the response.
pub(super) async fn carry(inbound: &Inbound, mut client: ClientStream, early: BytesMut, switched: Box<Switched>) {
    let Switched { mut server, came, mut ticket } = *switched;
    client.keep_alive(inbound.config.pool.keepalive);
    let mut mode = inbound.mode.clone();
    let ended = {
        let up = Flow::new(early, |n| ticket.up(n));
        let down = Flow::new(BytesMut::from(came), |n| ticket.down(n));
        splice((&mut client, up), (&mut server, down), &mut mode).await
    };
    ticket.ends_as(match ended {
        Spliced::Ended => WebSocketEnd::Carried,
        Spliced::Reset => WebSocketEnd::Reset,
        Spliced::Cut => WebSocketEnd::Cut,
    });
    drop(ticket);
    match ended {
        Spliced::Ended => {}
        Spliced::Reset => {
            server.reset();
            client.reset();
        }
        Spliced::Cut => {
            drop(server);
            // A client that reads nothing would keep the last word of TLS from going out.
            timeout(inbound.config.client.linger, close(inbound, client)).await.ok();
        }
    }
}
