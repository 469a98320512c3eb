//! Connections to the running instance on which it has proved who it is before anything else is sent: a challenge is the first
//! request of each, and the same connection carries the rest. Holds no token longer than its client does.

use super::token::random_key;
use crate::{
    config::Secret,
    proof::{Challenge, PATH},
};
use bytes::Bytes;
use http::{Request, StatusCode, header::HOST};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    client::conn::http1,
    rt::{Read, Write},
};
use serde::Deserialize;
use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::timeout;
use tower::{BoxError, Layer, Service};

/// A proof is some hundred bytes.
const MAX_PROOF: usize = 4 << 10;

/// Why the other end of a connection is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unproven {
    /// It accepted the connection, or the system did for it, and said nothing.
    #[error("it accepts and says nothing")]
    Silent,
    /// It answered, and not as the Leeward of this state folder does.
    #[error("it is not the Leeward of this state folder: {0}")]
    Stranger(String),
}

/// What a connection has to show before it is used.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    pub(super) address: SocketAddr,
    pub(super) token: Secret,
    /// Limit for the connection itself.
    pub(super) connected_within: Duration,
    /// Limit for the proof.
    pub(super) proven_within: Duration,
}

impl<S> Layer<S> for Proof {
    type Service = Proven<S>;

    fn layer(&self, connector: S) -> Proven<S> {
        Proven { connector, proof: self.clone() }
    }
}

/// A connector whose connections have proved who is at their other end.
#[derive(Clone, Debug)]
pub(super) struct Proven<S> {
    connector: S,
    proof: Proof,
}

impl<S, R> Service<R> for Proven<S>
where
    S: Service<R, Error = BoxError>,
    S::Response: Read + Write + Send + Unpin + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (connecting, proof) = (self.connector.call(request), self.proof.clone());
        Box::pin(async move {
            let connection = timeout(proof.connected_within, connecting).await??;
            let proven = timeout(proof.proven_within, proof.demand(connection)).await;
            proven.unwrap_or(Err(Unproven::Silent)).map_err(Into::into)
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    proof: String,
}

impl Proof {
    /// Asks for the proof. The connection comes back with nothing on it.
    async fn demand<C: Read + Write + Send + Unpin + 'static>(&self, connection: C) -> Result<C, Unproven> {
        let stranger = |why: &dyn std::fmt::Display| Unproven::Stranger(why.to_string());
        let challenge = random_key().map_err(|e| stranger(&e))?;
        let challenge = Challenge::parse(&challenge).ok_or_else(|| stranger(&"no challenge could be made"))?;
        let (mut sender, mut exchange) = http1::handshake(connection).await.map_err(|e| stranger(&e))?;
        let request = Request::get(format!("{PATH}?challenge={}", challenge.text())).header(HOST, self.address.to_string());
        let request = request.body(Empty::<Bytes>::new()).map_err(|e| stranger(&e))?;
        let asked = async {
            let response = sender.send_request(request).await.map_err(|e| stranger(&e))?;
            if response.status() != StatusCode::OK {
                return Err(stranger(&format_args!("asked for its proof it answers {}", response.status())));
            }
            let body = Limited::new(response.into_body(), MAX_PROOF).collect().await.map_err(|e| stranger(&e))?.to_bytes();
            serde_json::from_slice(&body).map_err(|e| stranger(&format_args!("its proof cannot be read ({e})")))
        };
        let Answer { proof } = tokio::select! {
            answer = asked => answer?,
            ended = poll_fn(|cx| exchange.poll_without_shutdown(cx)) => {
                return Err(ended.err().map_or_else(|| stranger(&"it closes the connection"), |e| stranger(&e)));
            }
        };
        if !challenge.is_answer(&self.token, self.address, &proof) {
            return Err(stranger(&"its proof is wrong"));
        }
        let parts = exchange.into_parts();
        if parts.read_buf.is_empty() { Ok(parts.io) } else { Err(stranger(&"it says more than it was asked")) }
    }
}
