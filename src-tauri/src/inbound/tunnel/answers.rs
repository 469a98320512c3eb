//! What the client of a CONNECT is answered. Decides nothing.

use super::request::Invalid;
use crate::{
    exchange::Meaning,
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
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

/// Some agents wait for ever on a response that comes in two segments: it is written at once.
pub(super) const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection Established\r\n\r\n";
/// The connection stays open: git asks without credentials first, and then again on the same connection.
const NO_TOKEN: &[u8] =
    b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"leeward\"\r\ncontent-length: 0\r\n\r\n";
/// The same where more has come already, which is meant for a tunnel that there is not, and is nobody's request.
const NO_TOKEN_CLOSE: &[u8] = b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"leeward\"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Asks for a token. The socket comes back when its client may ask again.
pub(super) async fn ask_for_token(
    inbound: &Inbound,
    ticket: &TunnelTicket,
    mut client: TcpStream,
    is_more: bool,
) -> Option<TcpStream> {
    ticket.answered(407);
    if client.write_all(if is_more { NO_TOKEN_CLOSE } else { NO_TOKEN }).await.is_err() {
        return None;
    }
    if is_more {
        farewell(inbound, client).await;
        return None;
    }
    Some(client)
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
        cause => {
            Meaning::new(502, cause.as_str(), true, format!("{host} could not be reached on port {port} ({}).", failure.detail))
        }
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
