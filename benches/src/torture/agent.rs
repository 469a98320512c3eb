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

    /// A question whose response is a stream, in this coding where there is one.
    pub(super) async fn stream(&mut self, query: &str, coding: Option<&str>) -> End {
        let mut got = Vec::new();
        let question = r#"{"model":"bench","max_tokens":24,"stream":true}"#;
        let query = coding.map_or(query.to_owned(), |coding| format!("{query}&coding={coding}"));
        let ended = self.question(question, &query, |piece| got.extend_from_slice(piece)).await;
        match ended {
            Ok(200) => end(&got, coding),
            _ => End::Reported,
        }
    }

    async fn question(&mut self, body: &str, query: &str, see: impl FnMut(&[u8])) -> io::Result<u16> {
        // Nothing else in this process asks in the same nanosecond.
        let id = clock::now();
        let request = format!(
            "POST /v1/messages{query} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nanthropic-version: 2023-06-01\r\n\
             accept-encoding: gzip\r\nx-bench-id: {id}\r\ncontent-length: {}\r\n\r\n{body}",
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

/// How a stream ended whose chunked body ended as it should.
fn end(got: &[u8], coding: Option<&str>) -> End {
    let body = unchunk(got);
    let text = match coding {
        None => body,
        // What breaks off within its coding is an error to whoever decodes it.
        Some(coding) => match scripted::coding::decode(coding, &body) {
            Ok(text) => text,
            Err(_) => return End::Reported,
        },
    };
    let says = |what| memchr::memmem::find(&text, what).is_some();
    if says(LAST) {
        End::Whole
    } else if says(b"event: error") {
        End::Reported
    } else {
        End::LooksWhole
    }
}

/// The content of a chunked body, as far as it goes.
fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some((content, behind)) = crate::wire::first_chunk(rest) {
        body.extend_from_slice(content);
        rest = behind;
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked(parts: &[Vec<u8>]) -> Vec<u8> {
        let mut body = Vec::new();
        for part in parts {
            body.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            body.extend_from_slice(part);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        body
    }

    #[test]
    fn how_a_stream_ended_is_told_in_any_coding() {
        let (begin, error, stop) = (&b"event: message_start\n\n"[..], &b"event: error\n\n"[..], &b"event: message_stop\n\n"[..]);
        for (events, ended) in [
            (&[begin, stop][..], End::Whole),
            (&[begin][..], End::LooksWhole),
            (&[begin, error][..], End::Reported),
            (&[][..], End::LooksWhole),
        ] {
            let plain: Vec<Vec<u8>> = events.iter().map(|event| event.to_vec()).collect();
            assert_eq!(end(&chunked(&plain), None), ended, "{events:?}");
            let coded = scripted::coding::chunks("gzip", events).unwrap();
            assert_eq!(end(&chunked(&coded), Some("gzip")), ended, "{events:?} in gzip");
            assert_eq!(end(&chunked(&coded[..events.len()]), Some("gzip")), End::Reported, "{events:?} without gzip's end");
        }
    }
}
