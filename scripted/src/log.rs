//! What the scripted upstream saw, and a way to wait for it. It records; it decides nothing.

use super::fault::Fault;
use bytes::Bytes;
use serde::Serialize;
use std::time::Duration;
use tokio::{sync::watch, time::Instant};

/// Bodies up to this many bytes are kept whole in the record.
pub const KEPT_BODY: usize = 64 * 1024;

/// The request line and headers as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Head {
    /// `POST`.
    pub method: String,
    /// The request target, with its query.
    pub target: String,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor: u8,
    /// Names and values in the order and case of the wire.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first value of a header; the name's case does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A value of the query, as it stands there.
    pub fn query(&self, name: &str) -> Option<&str> {
        let query = self.target.split_once('?')?.1;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// A request body as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Bytes of content received.
    pub length: u64,
    /// SHA-256 of them, in lower-case hex.
    pub sha256: String,
    /// The content itself when it is not longer than `KEPT_BODY`.
    pub kept: Option<Bytes>,
    /// Trailer fields after a chunked body.
    pub trailers: Vec<(String, String)>,
    /// True when all of it came.
    pub complete: bool,
}

/// How far the response to a request went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Nothing sent yet.
    No,
    /// The head was sent.
    Head(u16),
    /// All of it was sent.
    Whole(u16),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Number of its connection, from 0.
    pub connection: u64,
    /// How many requests came before it on that connection.
    pub nth: u64,
    /// Its request line and headers.
    pub head: Head,
    /// What has come of its body.
    pub body: Body,
    /// The fault that was chosen for it.
    pub fault: Fault,
    /// How far the response went.
    pub answered: Answered,
    /// When the client was seen to have gone away before the response was whole.
    pub abandoned: Option<Instant>,
}

impl Request {
    /// True when the upstream did the work: a response was begun.
    pub fn processed(&self) -> bool {
        self.answered != Answered::No
    }
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The fault that was chosen for it.
    pub fault: Fault,
    /// True once the TLS handshake is done (on a plain upstream, once it is accepted).
    pub ready: bool,
    /// Requests whose head was read.
    pub requests: u64,
    /// True once it is closed, by whichever side.
    pub closed: bool,
}

/// Everything seen so far.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// By number.
    pub connections: Vec<Connection>,
    /// In the order in which their heads were read.
    pub requests: Vec<Request>,
}

impl Record {
    /// Requests whose response was begun.
    pub fn processed(&self) -> usize {
        self.requests.iter().filter(|r| r.processed()).count()
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.connections.iter().filter(|c| !c.closed).count()
    }

    /// How often each fault struck, by name; `none` is left out.
    pub fn faults(&self) -> std::collections::BTreeMap<&'static str, u64> {
        let mut count = std::collections::BTreeMap::new();
        let all = self.connections.iter().map(|c| &c.fault).chain(self.requests.iter().map(|r| &r.fault));
        for fault in all.filter(|f| **f != Fault::None) {
            *count.entry(fault.name()).or_default() += 1;
        }
        count
    }
}

/// The record, shared between the upstream's tasks and whoever asks.
#[derive(Clone, Debug)]
pub struct Log(watch::Sender<Record>);

impl Log {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Record::default()))
    }

    /// The record as it is now.
    pub fn record(&self) -> Record {
        self.0.borrow().clone()
    }

    /// A figure of the record as it is now, without a copy of the record.
    pub fn read<T>(&self, figure: impl FnOnce(&Record) -> T) -> T {
        figure(&self.0.borrow())
    }

    /// Waits until the record is as wanted and returns it.
    ///
    /// # Errors
    /// The record as it stood when `limit` was over.
    pub async fn wait_for(&self, wanted: impl FnMut(&Record) -> bool, limit: Duration) -> Result<Record, Box<Record>> {
        let mut watcher = self.0.subscribe();
        let met = tokio::time::timeout(limit, watcher.wait_for(wanted)).await;
        match met {
            Ok(Ok(record)) => Ok(record.clone()),
            Ok(Err(_)) | Err(_) => Err(Box::new(self.record())),
        }
    }

    pub(super) fn connection(&self) -> u64 {
        let mut number = 0;
        self.0.send_modify(|record| {
            number = record.connections.len() as u64;
            record.connections.push(Connection { fault: Fault::None, ready: false, requests: 0, closed: false });
        });
        number
    }

    pub(super) fn on_connection(&self, number: u64, change: impl FnOnce(&mut Connection)) {
        self.0.send_modify(|record| record.connections.get_mut(number as usize).map_or((), change));
    }

    /// Adds a request and returns its number on this upstream.
    pub(super) fn request(&self, connection: u64, nth: u64, head: &Head) -> u64 {
        let mut number = 0;
        self.0.send_modify(|record| {
            number = record.requests.len() as u64;
            if let Some(open) = record.connections.get_mut(connection as usize) {
                open.requests += 1;
            }
            let (head, body, fault, answered) = (head.clone(), Body::default(), Fault::None, Answered::No);
            record.requests.push(Request { connection, nth, head, body, fault, answered, abandoned: None });
        });
        number
    }

    pub(super) fn on_request(&self, number: u64, change: impl FnOnce(&mut Request)) {
        self.0.send_modify(|record| record.requests.get_mut(number as usize).map_or((), change));
    }
}
