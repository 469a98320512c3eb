//! Whose a CONNECT is: its token's session, which may be about to register again. Answers nobody.

use super::request::Connect;
use crate::{
    control::{Mode, NoKey, TunnelKey},
    inbound::server::Inbound,
    telemetry::TunnelTicket,
};
use std::{future::pending, time::Duration};
use tokio::{net::TcpStream, time::Instant};

/// A session that registered sooner was not waited for.
const AT_ONCE: Duration = Duration::from_millis(1);

/// What is known of a CONNECT's token.
pub(super) enum Admitted {
    /// It is this session's.
    Key(TunnelKey),
    /// There is none, or it is nobody's.
    NoKey,
    /// It may become somebody's, and too many wait for that.
    TooManyWait,
    /// Nobody waits for the answer any more.
    ClientLeft,
}

/// Finds the session of a CONNECT. Where its session may be missing for a moment (Leeward was started or restarted, or the
/// stream is renewed), it is waited for as long as its client does.
pub(super) async fn admit(inbound: &Inbound, asked: &Connect, client: &TcpStream, ticket: &mut TunnelTicket) -> Admitted {
    let Some(token) = &asked.token else { return Admitted::NoKey };
    let began = Instant::now();
    let mut mode = inbound.mode.clone();
    let found = tokio::select! {
        biased;
        found = inbound.sessions.tunnel_key(token.reveal()) => found,
        () = has_left(client) => return Admitted::ClientLeft,
        () = Mode::reaches(&mut mode, Mode::Closing) => Err(NoKey::TooManyWait),
    };
    if began.elapsed() > AT_ONCE {
        ticket.waited();
    }
    match found {
        Ok(key) => Admitted::Key(key),
        Err(NoKey::Wrong) => Admitted::NoKey,
        Err(NoKey::TooManyWait) => Admitted::TooManyWait,
    }
}

/// Ends when the client has gone. One that has sent more already is not looked after: its bytes are for the tunnel.
async fn has_left(client: &TcpStream) {
    let mut byte = [0];
    if let Ok(1..) = client.peek(&mut byte).await {
        pending().await
    }
}
