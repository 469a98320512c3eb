//! Both directions of a tunnel whose server has answered: an end is forwarded as an end, a reset as a reset, at once.

use crate::{
    control::Mode,
    inbound::splice::{Flow, Spliced, splice},
    status::tunnels::TunnelEnd,
    telemetry::TunnelTicket,
    upstream::Blind,
};
use bytes::BytesMut;
use std::time::Duration;
use tokio::{net::TcpStream, sync::watch};

/// Who has closed already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Closed {
    pub(super) client: bool,
}

/// Carries both directions to their ends. Where one side is reset, so is the other.
pub(super) async fn both(
    mut client: TcpStream,
    mut server: Blind,
    ticket: &TunnelTicket,
    closed: Closed,
    mut mode: watch::Receiver<Mode>,
) -> TunnelEnd {
    let count = |n| ticket.up(n);
    let up = if closed.client { Flow::closed(count) } else { Flow::new(BytesMut::new(), count) };
    let down = Flow::new(BytesMut::new(), |n| ticket.down(n));
    match splice((&mut client, up), (&mut server, down), &mut mode).await {
        Spliced::Ended => TunnelEnd::Carried,
        // Out of time: both learn it by an end, which an idle client minds least.
        Spliced::Cut => TunnelEnd::Cut,
        Spliced::Reset => {
            server.reset();
            reset(client);
            TunnelEnd::Reset
        }
    }
}

/// Ends a client's connection with a reset.
pub(super) fn reset(client: TcpStream) {
    // One that is gone already needs none.
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).ok();
}
