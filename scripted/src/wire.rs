//! HTTP/1.1 by hand, the reading side: heads, bodies, chunks and trailers exactly as they come.
//!
//! By hand because the upstream must be able to stop anywhere; it refuses nothing that it can make sense of.

use super::log::Head;
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// Longest head that is read.
const HEAD_BYTES: usize = 256 * 1024;
/// Most header fields that are read.
const HEAD_FIELDS: usize = 512;

/// A byte stream over a TCP socket that can be reset.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for tokio_rustls::server::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A socket and what was read from it but not used yet.
pub(super) struct Link<S> {
    pub(super) socket: S,
    unread: BytesMut,
}

/// A piece of a request's body, or its end.
pub(super) enum Part {
    Content(Bytes),
    End(Vec<(String, String)>),
}

/// Reads one body piece by piece.
pub(super) struct BodyReader {
    chunked: bool,
    /// Bytes left of the body or of the current chunk.
    left: u64,
    /// True before the first chunk.
    first: bool,
}

impl<S: Socket> Link<S> {
    pub(super) fn new(socket: S) -> Self {
        Self { socket, unread: BytesMut::with_capacity(16 * 1024) }
    }

    /// The next request's head; `None` when the client closed before its first byte.
    pub(super) async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; HEAD_FIELDS];
            let mut request = httparse::Request::new(&mut fields);
            match request.parse(&self.unread) {
                Ok(httparse::Status::Complete(length)) => {
                    let head = Head {
                        method: request.method.unwrap_or_default().to_owned(),
                        target: request.path.unwrap_or_default().to_owned(),
                        minor: request.version.unwrap_or(1),
                        headers: request.headers.iter().map(|h| (h.name.to_owned(), latin1(h.value))).collect(),
                    };
                    self.unread.advance(length);
                    return Ok(Some(head));
                }
                Ok(httparse::Status::Partial) if self.unread.len() > HEAD_BYTES => return Err(invalid("the head is too long")),
                Ok(httparse::Status::Partial) => {}
                Err(e) => return Err(invalid(format!("the head is no HTTP: {e}"))),
            }
            if self.fill().await? == 0 {
                return if self.unread.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The next part of a body. After `End` it must not be called again.
    pub(super) async fn part(&mut self, body: &mut BodyReader) -> io::Result<Part> {
        if body.chunked && body.left == 0 {
            if !std::mem::take(&mut body.first) {
                self.line().await?;
            }
            let size = self.line().await?;
            let digits = size.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
            let digits = std::str::from_utf8(digits).map_err(|_| invalid("a chunk size is no text"))?;
            body.left = u64::from_str_radix(digits, 16).map_err(|_| invalid(format!("{digits:?} is no chunk size")))?;
            if body.left == 0 {
                return Ok(Part::End(self.trailers().await?));
            }
        } else if body.left == 0 {
            return Ok(Part::End(Vec::new()));
        }
        if self.unread.is_empty() && self.fill().await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = self.unread.len().min(usize::try_from(body.left).unwrap_or(usize::MAX));
        body.left -= length as u64;
        Ok(Part::Content(self.unread.split_to(length).freeze()))
    }

    async fn trailers(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut trailers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some(colon) = line.iter().position(|b| *b == b':') else { return Ok(trailers) };
            trailers.push((latin1(&line[..colon]), latin1(line[colon + 1..].trim_ascii())));
        }
    }

    /// A line without its end.
    async fn line(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.unread) {
                let line = self.unread.split_to(end + 1).freeze();
                return Ok(line.slice(..end - usize::from(line[..end].ends_with(b"\r"))));
            }
            if self.unread.len() > HEAD_BYTES {
                return Err(invalid("a line is too long"));
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads what is there; 0 at the end.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        self.socket.read_buf(&mut self.unread).await
    }

    /// True when bytes of a next request are already here.
    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Returns when the client has closed or reset the connection. What it sends meanwhile is kept.
    pub(super) async fn gone(&mut self) {
        while matches!(self.fill().await, Ok(1..)) {}
    }

    /// Sends bytes, all of them.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await?;
        self.socket.flush().await
    }
}

impl BodyReader {
    /// How the body of this request is delimited; `None` when it has none.
    pub(super) fn of(head: &Head) -> Option<Self> {
        let chunked = head.header("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked"));
        let length = head.header("content-length").and_then(|v| v.trim().parse().ok());
        match (chunked, length) {
            (true, _) => Some(Self { chunked, left: 0, first: true }),
            (false, Some(left)) if left > 0 => Some(Self { chunked, left, first: true }),
            (false, _) => None,
        }
    }
}

/// Every byte as the character of its number, so that nothing is lost.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}
