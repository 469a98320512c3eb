//! The client's side on the bare wire: a request as bytes, a response read to its end. Kept lean, because the load must not
//! be what is measured.

use std::{fmt::Display, io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// No response takes this long on a machine that works at all.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// Room for what is read at a time.
const ROOM: usize = 64 << 10;

/// A request of an agent's kind: a POST to an inference path with a JSON body of `bytes`.
pub(crate) fn request(host: impl Display, query: &str, bytes: usize) -> Vec<u8> {
    request_taking(host, query, None, bytes)
}

/// The same of a client that takes its answer in this coding, too.
pub(crate) fn request_taking(host: impl Display, query: &str, coding: Option<&str>, bytes: usize) -> Vec<u8> {
    let body = json(bytes);
    let takes = coding.map(|coding| format!("accept-encoding: {coding}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /v1/messages{query} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\naccept: application/json\r\n\
         {takes}user-agent: leeward-bench\r\nanthropic-version: 2023-06-01\r\nx-api-key: bench\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// A question of the Messages API of exactly so many bytes, 128 at least; some programs look into it.
pub(crate) fn json(bytes: usize) -> Vec<u8> {
    filled(r#"{"model":"claude-bench","max_tokens":64,"messages":[{"role":"user","content":""#, r#""}]}"#, bytes)
}

/// A response of the same.
pub(crate) fn message(bytes: usize) -> Vec<u8> {
    let open = r#"{"id":"msg_bench","type":"message","role":"assistant","model":"claude-bench","stop_reason":"end_turn","#;
    let open = format!(r#"{open}"usage":{{"input_tokens":8,"output_tokens":8}},"content":[{{"type":"text","text":""#);
    filled(&open, r#""}]}"#, bytes)
}

fn filled(open: &str, close: &str, bytes: usize) -> Vec<u8> {
    let fill = bytes.saturating_sub(open.len() + close.len());
    [open.as_bytes(), &vec![b'x'; fill], close.as_bytes()].concat()
}

/// A response that was read to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// True when the other side will close.
    pub(crate) closes: bool,
}

/// A connection; plain or TLS.
pub(crate) struct Line<S> {
    stream: S,
    buffer: Box<[u8]>,
}

impl Line<TcpStream> {
    /// Connects, without Nagle's delay.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }
}

/// How a body ends.
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// A connection that is there.
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, buffer: vec![0; ROOM].into_boxed_slice() }
    }

    /// The connection itself.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    /// Sends a request and reads the response; a response that breaks off is an error.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.ask_seeing(request, |_| ()).await
    }

    /// As `ask`; each piece of the body, as it came and with its framing, is shown.
    pub(crate) async fn ask_seeing(&mut self, request: &[u8], mut see: impl FnMut(&[u8])) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let (status, framing, closes, mut body) = loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the head's end"));
            }
            filled += read;
            if let Some((status, framing, closes, end)) = head(&self.buffer[..filled])? {
                break (status, framing, closes, end);
            }
            if filled == ROOM {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a head of more than 64 KiB"));
            }
        };
        let answer = Answer { status, closes };
        let mut seen = 0;
        let mut end = Ends::default();
        loop {
            let piece = &self.buffer[body..filled];
            see(piece);
            seen += piece.len();
            let done = match framing {
                Framing::Length(length) => seen >= length,
                Framing::Chunked => end.look(piece),
                Framing::Close => false,
            };
            if done {
                return Ok(answer);
            }
            body = 0;
            filled = self.stream.read(&mut self.buffer).await?;
            if filled == 0 {
                return match framing {
                    Framing::Close => Ok(answer),
                    _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body broke off")),
                };
            }
        }
    }
}

/// Status, framing, whether it closes, and where the body begins; none until the head is whole.
fn head(bytes: &[u8]) -> io::Result<Option<(u16, Framing, bool, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    let invalid = |e: httparse::Error| io::Error::new(io::ErrorKind::InvalidData, e.to_string());
    let httparse::Status::Complete(end) = parsed.parse(bytes).map_err(invalid)? else { return Ok(None) };
    let status = parsed.code.unwrap_or_default();
    let (mut framing, mut closes) = (Framing::Close, parsed.version == Some(0));
    for header in parsed.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
            framing = Framing::Length(length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "content-length"))?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Some((status, framing, closes, end)))
}

/// The content of the first chunk and what is behind it; none while it is not whole, and none for the last, which is empty.
pub(crate) fn first_chunk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(bytes) else { return None };
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    let content = bytes.get(start..end).filter(|content| !content.is_empty())?;
    Some((content, bytes.get(end + 2..)?))
}

/// The end of a chunked body without trailers, whose text never holds an empty line followed by a zero: the harness's own.
#[derive(Default)]
struct Ends {
    tail: [u8; 7],
    length: usize,
}

impl Ends {
    fn look(&mut self, piece: &[u8]) -> bool {
        for byte in &piece[piece.len().saturating_sub(7)..] {
            self.tail.rotate_left(1);
            self.tail[6] = *byte;
            self.length += 1;
        }
        self.tail == *b"\r\n0\r\n\r\n" || (self.length == 5 && self.tail[2..] == *b"0\r\n\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_size_it_is_asked_for() {
        for size in [256, 1024, 1 << 20] {
            assert_eq!((json(size).len(), message(size).len()), (size, size));
            for text in [json(size), message(size)] {
                assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
            }
        }
    }

    #[test]
    fn heads_say_how_the_body_ends() {
        let length = head(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n").unwrap().unwrap();
        assert!(matches!(length, (200, Framing::Length(12), false, 39)));
        let chunked = head(b"HTTP/1.1 502 X\r\ntransfer-encoding: chunked\r\nconnection: Close\r\n\r\nabc").unwrap().unwrap();
        assert!(matches!(chunked, (502, Framing::Chunked, true, 65)), "{}", chunked.3);
        assert!(head(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap().is_none());
        assert!(head(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
    }

    #[test]
    fn the_last_chunk_is_seen_however_it_is_cut() {
        let body = b"5\r\nhello\r\n0\r\n\r\n";
        for cut in 0..body.len() {
            let mut ends = Ends::default();
            let (one, two) = body.split_at(cut);
            assert!(!ends.look(one), "{cut}");
            assert!(ends.look(two), "{cut}");
        }
    }
}
