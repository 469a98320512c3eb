//! One request as the panel shows it. Data only: names, times and counts, never content, headers or credentials.

use serde::Serialize;

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "RequestPhase"))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Its body is being read.
    Reading,
    /// It waits for a connection.
    Connecting,
    /// It was given to a connection; there is no response yet.
    Sent,
    /// The response is there and buffered.
    Buffering,
    /// The response is on its way to the client.
    Streaming,
    /// Over.
    Done,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Activity {
    /// Counts from 1 in each process.
    pub id: u64,
    /// The program that asks, as it names itself.
    pub agent: Option<String>,
    /// Its session, by its `id`: of a tunnel and what was decrypted in it always; of what came by a base URL where one session of
    /// its agent is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub session: Option<String>,
    /// The model that it asks for.
    pub model: Option<String>,
    /// The request's method.
    pub method: String,
    /// The path at the upstream, without its query; of a tunnel (CONNECT) host and port.
    pub path: String,
    /// The upstream's name; empty when the request never got that far.
    pub upstream: String,
    /// When its head had been read, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// How far it is.
    #[serde(rename = "phase")]
    pub stage: Stage,
    /// What was tried, in order.
    pub attempts: Vec<Try>,
    /// Until the response's head went to the client, in milliseconds.
    pub first_byte_ms: Option<f64>,
    /// Until its end, in milliseconds.
    pub took_ms: Option<f64>,
    /// Bytes of the request's body that came from the client.
    pub bytes_up: u64,
    /// Bytes of responses' bodies that came from the upstream, those of responses that broke off included.
    pub bytes_down: u64,
    /// The status that the client got.
    pub status: Option<u16>,
    /// How it ended, by the names of `faults::Outcome`; of a tunnel by those of `tunnels::TunnelEnd`, of a
    /// WebSocket by those of `websockets::WebSocketEnd`.
    pub outcome: Option<&'static str>,
}

/// What became of what a session's programs asked for, as far as it met faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SessionCounts {
    /// Requests that met a fault and ended well.
    pub rescued: u64,
    /// Requests of which the agent got an error.
    pub failed: u64,
    /// Tunnels whose connection broke, and which went on over another one.
    pub tunnels_rescued: u64,
    /// Tunnels for which there was no connection.
    pub tunnels_failed: u64,
}

/// One attempt; times in milliseconds since the request's start.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Attempt"))]
pub struct Try {
    /// From 1.
    pub number: u32,
    /// A connection was asked for.
    pub began_ms: f64,
    /// The request was given to a connection.
    pub sent_ms: Option<f64>,
    /// The response's head was there.
    pub head_ms: Option<f64>,
    /// It was over.
    pub ended_ms: Option<f64>,
    /// `reused` or `fresh`.
    #[cfg_attr(test, ts(type = "\"reused\" | \"fresh\" | null"))]
    pub connection: Option<&'static str>,
    /// What it failed with, by the names of `faults::Cause`.
    pub cause: Option<&'static str>,
    /// True when the request had reached the upstream before.
    pub replay: bool,
}
