//! An agent for the torture: asks, and says truly what it saw. A stream counts as whole only with its last event.

use crate::{clock, wire::Line};
use std::{io, net::SocketAddr, time::Duration};
use tokio::net::TcpStream;

/// No request of the plan needs this long.
const LIMIT: Duration = Duration::from_secs(15);
/// The last event of an Anthropic stream.
const LAST: &[u8] = b"message_stop";

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With its last event.
    Whole,
    /// Without it, but as properly as if it had been there: the client cannot know.
    LooksWhole,
    /// It broke off, or an error was reported.
    Reported,
}

/// One connection, made when it is needed.
pub(crate) struct Agent {
    address: SocketAddr,
    limit: Duration,
    line: Option<Line<TcpStream>>,
}

impl Agent {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, limit: LIMIT, line: None }
    }

    /// Waits at most so long.
    pub(super) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The next question on a connection of its own.
    pub(super) fn anew(&mut self) {
        self.line = None;
    }

    /// A question whose response is one JSON text.
    pub(super) async fn ask(&mut self) -> io::Result<()> {
        match self.question(r#"{"model":"bench","max_tokens":24}"#, "", |_| ()).await? {
            200 => Ok(()),
            status => Err(io::Error::other(format!("answered {status}"))),
        }
    }

    /// A question whose response is a stream.
    pub(super) async fn stream(&mut self, query: &str) -> End {
        let mut text = Vec::new();
        let question = r#"{"model":"bench","max_tokens":24,"stream":true}"#;
        let ended = self.question(question, query, |piece| text.extend_from_slice(piece)).await;
        let error = memchr::memmem::find(&text, b"event: error").is_some();
        match ended {
            Ok(200) if memchr::memmem::find(&text, LAST).is_some() => End::Whole,
            Ok(200) if !error => End::LooksWhole,
            _ => End::Reported,
        }
    }

    async fn question(&mut self, body: &str, query: &str, see: impl FnMut(&[u8])) -> io::Result<u16> {
        // Nothing else in this process asks in the same nanosecond.
        let id = clock::now();
        let request = format!(
            "POST /v1/messages{query} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nanthropic-version: 2023-06-01\r\n\
             x-bench-id: {id}\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let asked = async {
            let mut line = match self.line.take() {
                Some(line) => line,
                None => Line::open(self.address).await?,
            };
            let answer = line.ask_seeing(request.as_bytes(), see).await?;
            if !answer.closes {
                self.line = Some(line);
            }
            Ok(answer.status)
        };
        tokio::time::timeout(self.limit, asked).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
    }
}
