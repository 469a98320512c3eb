//! What the client of a CONNECT is answered. Decides nothing.

use super::request::Invalid;
use crate::{
    exchange::{Dialect, Meaning},
    inbound::{
        farewell::{GRACE, close},
        refusal::respond_raw,
        server::Inbound,
    },
    message::Failure,
    status::faults::Cause,
    telemetry::TunnelTicket,
    upstream::Target,
};
use bytes::Bytes;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

/// Some agents wait for ever on a response that comes in two segments: it is written at once.
pub(super) const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection Established\r\n\r\n";
/// For who set it as a proxy by hand.
const NO_TOKEN: &str =
    "Tunnels are for sessions of `leeward wrap`: start the agent with it, or take HTTPS_PROXY out of its environment.";

/// Asks for a token. The socket comes back when its client may ask again.
pub(super) async fn ask_for_token(
    inbound: &Inbound,
    ticket: &TunnelTicket,
    mut client: TcpStream,
    is_more: bool,
) -> Option<TcpStream> {
    ticket.answered(407);
    if client.write_all(&no_token(is_more)).await.is_err() {
        return None;
    }
    if is_more {
        farewell(inbound, client).await;
        return None;
    }
    Some(client)
}

/// The connection stays open: git asks without credentials first, and then again on the same connection. `closes`: more has come
/// already, which is meant for a tunnel that there is not, and is nobody's request.
fn no_token(closes: bool) -> Bytes {
    let text = Dialect::Anthropic.error(&Meaning::new(407, "tunnel-token", false, NO_TOKEN));
    let (length, ends) = (text.len(), if closes { "connection: close\r\n" } else { "" });
    Bytes::from(format!(
        "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"leeward\"\r\ncontent-type: application/json\r\nx-leeward-error: tunnel-token\r\ncontent-length: {length}\r\n{ends}\r\n{text}"
    ))
}

/// Refuses it; the connection ends.
pub(super) async fn refuse(
    inbound: &Inbound,
    ticket: &TunnelTicket,
    mut client: TcpStream,
    meaning: &Meaning,
) -> Option<TcpStream> {
    ticket.answered(meaning.status.as_u16());
    if client.write_all(&respond_raw(meaning)).await.is_ok() {
        farewell(inbound, client).await;
    }
    None
}

/// Closes so that the client can read everything: grace, FIN, linger.
async fn farewell(inbound: &Inbound, mut client: TcpStream) {
    timeout(GRACE, tokio::io::copy(&mut client, &mut tokio::io::sink())).await.ok();
    close(inbound, client).await;
}

/// The target may not be reached.
pub(super) fn not_allowed(why: &str) -> Meaning {
    Meaning::new(403, "tunnel-not-allowed", false, format!("No tunnel leads there: {why}."))
}

/// Not a CONNECT.
pub(super) fn invalid(why: Invalid) -> Meaning {
    let why = match why {
        Invalid::Head => "is no valid request",
        Invalid::Target => "must name a host and a port, and nothing else",
        Invalid::Body => "has a body, which no CONNECT has",
    };
    Meaning::new(400, "bad-connect", false, format!("The CONNECT {why}."))
}

/// Its session may come, and there is no room to wait for it.
pub(super) fn too_many_wait() -> Meaning {
    Meaning::new(
        503,
        "session-not-ready",
        true,
        "Leeward has just been started or is ending, and this session has not registered with it yet.",
    )
}

/// The target was not reached.
pub(super) fn unreachable(target: &Target, failure: &Failure) -> Meaning {
    let Target { host, port } = target;
    match failure.cause {
        Cause::Loop => not_allowed(&failure.detail),
        // Agents take 504 for a slow API and 4xx for a failed login: whatever the network did is 502.
        cause => Meaning::new(
            502,
            cause.as_str(),
            true,
            format!("{host} could not be reached on port {port} ({}).", failure.plain_detail()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_network_did_is_502_and_never_an_expired_login_or_a_slow_api() {
        let target = Target { host: "api.x".into(), port: 443 };
        for cause in Cause::ALL {
            let meaning = unreachable(&target, &Failure::new(*cause, "why"));
            let expected = if *cause == Cause::Loop { 403 } else { 502 };
            assert_eq!(meaning.status.as_u16(), expected, "{cause:?}");
            assert!(meaning.sentence.contains("why"), "{}", meaning.sentence);
        }
    }
}
