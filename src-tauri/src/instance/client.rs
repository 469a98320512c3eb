//! A client of the running instance, for the CLI, `wrap` and the tray. Talks to nobody else: each connection proves who is at
//! its other end before a token or a request is sent on it.

use super::{
    proven::{Proof, Unproven},
    record::{Record, read_record},
    token::{TokenError, read_token},
};
use crate::{
    config::{CLIENT_TOKEN_HEADER, Paths, Secret},
    control::Restarted,
};
use serde_json::Value;
use std::{net::SocketAddr, time::Duration};

/// Why the running instance could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No record, or nobody answers at the recorded address.
    #[error("no Leeward is running{}; start one with `leeward serve`", .0.map_or(String::new(), |a| format!(" (nobody answers on {a})")))]
    NotRunning(Option<SocketAddr>),
    /// Whoever answers there is not ours. Nothing was sent to it.
    #[error("whatever answers on {address} is not this Leeward, and was sent nothing ({why}); `leeward serve` starts one")]
    Stranger {
        /// Whom was asked.
        address: SocketAddr,
        /// How that was seen.
        why: String,
    },
    /// The control token cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It answered with an error.
    #[error("Leeward on {address} answered {status}: {message}")]
    Refused {
        /// Whom was asked.
        address: SocketAddr,
        /// The HTTP status.
        status: u16,
        /// Its own words.
        message: String,
        /// All of the response, where it was JSON: codes, and what is wrong key by key.
        body: Box<Value>,
    },
    /// The response did not come or made no sense.
    #[error("Leeward on {address} did not answer properly: {why}")]
    Broken {
        /// Whom was asked.
        address: SocketAddr,
        /// What went wrong.
        why: String,
    },
}

/// A connection is the system's to make, busy or not. Where nobody listens Linux says so at once and Windows tries for two
/// seconds; whoever waits to start an instance in its place need not.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);
/// A proof takes a running instance a fraction of a millisecond; a machine that is busy makes it wait.
pub(super) const PROVEN_WITHIN: Duration = Duration::from_secs(2);

/// Who is at an address.
pub(super) enum Proven {
    /// The instance of the state folder.
    Ours,
    /// Somebody who accepts a connection and says nothing.
    Silent,
    /// Somebody else, and how that was seen.
    Stranger(String),
    /// Nobody accepts.
    Nobody,
}

/// Why a connection was not used, where that is the reason.
fn unproven(error: &reqwest::Error) -> Option<Unproven> {
    let mut reasons = std::iter::successors(std::error::Error::source(error), |error| error.source());
    reasons.find_map(|reason| reason.downcast_ref().cloned())
}

/// Talks to one running instance over its own listener.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    address: SocketAddr,
    token: Secret,
    client_token: Option<Secret>,
}

impl Client {
    /// The instance that the state folder names; it may be gone, which the first call shows.
    ///
    /// # Errors
    /// `NotRunning` without a record, `Token` when the token exists but cannot be used.
    pub fn find(paths: &Paths) -> Result<Self, ClientError> {
        let Record { address, .. } = read_record(paths).ok_or(ClientError::NotRunning(None))?;
        Self::at(address, paths)
    }

    /// The instance at an address, with the state folder's token.
    ///
    /// # Errors
    /// `NotRunning` where no Leeward has ever served, `Token` when the token exists but cannot be used.
    pub fn at(address: SocketAddr, paths: &Paths) -> Result<Self, ClientError> {
        Self::within(PROVEN_WITHIN, address, paths)
    }

    /// As `at`, with another limit for the proof of each connection.
    pub(super) fn within(limit: Duration, address: SocketAddr, paths: &Paths) -> Result<Self, ClientError> {
        let token = match read_token(paths) {
            Ok(token) => token,
            Err(TokenError::Missing(_)) => return Err(ClientError::NotRunning(Some(address))),
            Err(e) => return Err(e.into()),
        };
        let proof = Proof { address, token: token.clone(), connected_within: CONNECTED_WITHIN, proven_within: limit };
        let http = reqwest::Client::builder()
            .no_proxy() // loopback: a proxy variable of the user's must not be asked
            .connector_layer(proof)
            .pool_idle_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| ClientError::Broken { address, why: e.to_string() })?;
        Ok(Self { http, address, token, client_token: None })
    }

    /// Whether the instance of the state folder answers there: `Silent` and `Stranger` are told apart from nobody.
    pub(super) async fn prove(&self) -> Proven {
        match self.send(reqwest::Method::GET, "/livez", None, None).await {
            Ok(_) => Proven::Ours,
            Err(ClientError::Broken { .. }) => Proven::Silent,
            Err(ClientError::Stranger { why, .. }) => Proven::Stranger(why),
            Err(_) => Proven::Nobody,
        }
    }

    /// With the token that the config asks of every client, where it does.
    pub fn with_client_token(mut self, token: Option<Secret>) -> Self {
        self.client_token = token;
        self
    }

    /// Where the instance accepts.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// GET of a path, as JSON. `/readyz` answers 503 with a body that callers want too: see `ready`.
    ///
    /// # Errors
    /// `ClientError`.
    pub async fn get(&self, path: &str, limit: Duration) -> Result<Value, ClientError> {
        let response = self.send(reqwest::Method::GET, path, None, Some(limit)).await?;
        self.json(response).await
    }

    /// GET of a path, as it is.
    ///
    /// # Errors
    /// `ClientError`.
    pub async fn bytes(&self, path: &str, limit: Duration) -> Result<Vec<u8>, ClientError> {
        let response = self.send(reqwest::Method::GET, path, None, Some(limit)).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let broken = |e: reqwest::Error| ClientError::Broken { address: self.address, why: e.without_url().to_string() };
        response.bytes().await.map(Into::into).map_err(broken)
    }

    /// POST of a JSON body to a path, the response as JSON.
    ///
    /// # Errors
    /// `ClientError`.
    pub async fn post(&self, path: &str, body: &Value, limit: Duration) -> Result<Value, ClientError> {
        let response = self.send(reqwest::Method::POST, path, Some(body), Some(limit)).await?;
        self.json(response).await
    }

    /// Opens a stream that stays open, such as a session; its end means that the instance is gone.
    ///
    /// # Errors
    /// `ClientError`.
    pub async fn open(&self, path: &str, body: &Value) -> Result<reqwest::Response, ClientError> {
        let response = self.send(reqwest::Method::POST, path, Some(body), None).await?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    /// Whether a path is there at all, whatever it answers with.
    ///
    /// # Errors
    /// `ClientError`; `Refused` says why it is not.
    pub async fn check(&self, path: &str, limit: Duration) -> Result<(), ClientError> {
        let response = self.send(reqwest::Method::GET, path, None, Some(limit)).await?;
        if response.status().is_success() { Ok(()) } else { Err(self.refusal(response).await) }
    }

    /// True when `/readyz` answers 200.
    pub async fn ready(&self, limit: Duration) -> bool {
        self.send(reqwest::Method::GET, "/readyz", None, Some(limit)).await.is_ok_and(|r| r.status().is_success())
    }

    /// Asks for a new generation.
    ///
    /// # Errors
    /// `ClientError`.
    pub async fn restart(&self) -> Result<Restarted, ClientError> {
        let answer = self.post("/_leeward/v1/restart", &Value::Null, Duration::from_secs(15)).await?;
        serde_json::from_value(answer).map_err(|e| ClientError::Broken { address: self.address, why: e.to_string() })
    }

    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&Value>,
        limit: Option<Duration>,
    ) -> Result<reqwest::Response, ClientError> {
        let mut request = self.http.request(method, format!("http://{}{path}", self.address)).bearer_auth(self.token.reveal());
        if let Some(limit) = limit {
            request = request.timeout(limit);
        }
        if let Some(token) = &self.client_token {
            request = request.header(CLIENT_TOKEN_HEADER, token.reveal());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|e| {
            let address = self.address;
            match unproven(&e) {
                Some(Unproven::Stranger(why)) => ClientError::Stranger { address, why },
                Some(silent @ Unproven::Silent) => ClientError::Broken { address, why: silent.to_string() },
                None if e.is_connect() => ClientError::NotRunning(Some(address)),
                None => ClientError::Broken { address, why: e.without_url().to_string() },
            }
        })
    }

    async fn json(&self, response: reqwest::Response) -> Result<Value, ClientError> {
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        response.json().await.map_err(|e| ClientError::Broken { address: self.address, why: e.without_url().to_string() })
    }

    async fn refusal(&self, response: reqwest::Response) -> ClientError {
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap_or_default();
        let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or("no reason given").to_owned();
        ClientError::Refused { address: self.address, status, message, body: body.into() }
    }
}
