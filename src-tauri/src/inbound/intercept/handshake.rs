//! The handshake with a client, and what its end says of the client: who does not trust our certificate is not shown it again.

use super::{Candidate, Ended, Inside};
use crate::inbound::client_stream::{ClientStream, Rewound};
use bytes::BytesMut;
use rustls::{AlertDescription, ServerConfig};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsAcceptor;

/// Some clients end the handshake as if all were well and only then look at the certificate: they close at once.
const VERDICT_WITHIN: Duration = Duration::from_secs(1);

/// Ends a client's TLS.
pub(super) async fn end(
    candidate: Candidate,
    server: Arc<ServerConfig>,
    (client, came): (TcpStream, BytesMut),
    deadline: Instant,
) -> Ended {
    let Candidate { interception, host, shape, agent, session, session_number, .. } = candidate;
    let refuses = |why: &str| {
        let sentence = format!(
            "A program of {agent} does not take Leeward's certificate ({why}): its connections to {host} are tunnelled without \
             decryption. Nothing is lost but the repair after a request was sent."
        );
        interception.refuses(&host, shape.as_str(), &sentence);
    };
    let accepting = TlsAcceptor::from(server).accept(Rewound::new(came, client));
    let mut stream = match timeout_at(deadline, accepting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => {
            tracing::debug!(%host, "a client's handshake failed: {e}");
            refuses(&reason(&e));
            return Ended::Over;
        }
        Err(_) => return Ended::Over,
    };
    let mut first = BytesMut::with_capacity(2048);
    // A spare connection says nothing for long, and its client has ended none before it.
    match timeout(VERDICT_WITHIN, stream.read_buf(&mut first)).await {
        Ok(Ok(1..)) => interception.trusts(&host, shape.as_str()),
        Ok(left) => {
            if !interception.has_trusted(&host, shape.as_str()) {
                refuses(&left.err().map_or_else(|| "it closed the connection right after the handshake".into(), |e| reason(&e)));
            }
            // Its end is answered with ours; it may be gone already.
            stream.shutdown().await.ok();
            return Ended::Over;
        }
        Err(_) => {}
    }
    let inside = Inside::new(interception, &host, (&agent, &session, session_number), shape);
    Ended::Decrypted(Box::new(ClientStream::Tls(Box::new(stream))), first, Arc::new(inside))
}

/// What a client's handshake ended with, in words.
fn reason(e: &io::Error) -> String {
    let tls = e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::AlertReceived(AlertDescription::UnknownCA)) => "its alert: unknown_ca".into(),
        Some(rustls::Error::AlertReceived(alert)) => format!("its alert: {alert:?}"),
        Some(_) => "the handshake failed".into(),
        None => "it closed the connection during the handshake".into(),
    }
}
