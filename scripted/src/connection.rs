//! One connection from accept to close: reads requests, answers them, and acts out the faults chosen for it.

use super::{
    Shared,
    answer::Answer,
    api, clip,
    fault::{Fault, Mark},
    log::{Answered, Body, Head, KEPT_BODY},
    plan::Moment,
    wire::{BodyReader, Link, Part, Socket},
    write::{Cut, WriteOutcome, Writer},
};
use aws_lc_rs::digest;
use bytes::BytesMut;
use std::{io, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

/// A body is kept in memory up to this size to be understood; a longer one is only counted and hashed.
const UNDERSTOOD_BODY: usize = 32 * 1024 * 1024;
/// How long a closed connection stays to read what the client still sends, so that the FIN is not followed by an RST.
const LINGER: Duration = Duration::from_secs(2);

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client closed or reset it.
    Left,
    /// FIN; then the client's last bytes are read.
    Close,
    /// FIN and gone at once.
    Drop,
    /// RST.
    Reset,
}

/// Serves a fresh connection until it ends.
pub(super) async fn serve(shared: &Shared, stream: TcpStream, number: u64) {
    let fault = shared.choose(&Moment::Connection { connection: number });
    shared.log.on_connection(number, |c| c.fault = fault.clone());
    // Without it small writes would wait for each other, and `Slice` would be one segment.
    if stream.set_nodelay(true).is_ok() {
        connect(shared, stream, number, &fault).await;
    }
    shared.log.on_connection(number, |c| c.closed = true);
}

/// Resets a connection that finds no place in the queue.
pub(super) fn overflow(shared: &Shared, stream: &TcpStream, number: u64) {
    // A failure to set it leaves an ordinary close, which the log then shows as a test that did not fail.
    drop(stream.set_zero_linger());
    shared.log.on_connection(number, |c| (c.fault, c.closed) = (Fault::Overflow, true));
}

async fn connect(shared: &Shared, stream: TcpStream, number: u64, fault: &Fault) {
    match (fault, &shared.tls) {
        (Fault::ResetAtAccept | Fault::Overflow, _) => return finish(Link::new(stream), End::Reset).await,
        (Fault::ResetInServerHello(bytes) | Fault::StallInServerHello(bytes), Some(tls)) => {
            return clip::handshake(tls, stream, *bytes, matches!(fault, Fault::ResetInServerHello(_))).await;
        }
        (Fault::ResetInTls | Fault::ResetInServerHello(_), _) => return hello(stream, End::Reset).await,
        (Fault::CloseInTls, _) => return hello(stream, End::Close).await,
        (Fault::StallInTls | Fault::StallInServerHello(_), _) => return hello(stream, End::Left).await,
        (Fault::ResetHelloOver(most), Some(_)) => {
            if clip::hello_length(&stream).await.is_some_and(|length| length > *most) {
                return finish(Link::new(stream), End::Reset).await;
            }
            shared.log.on_connection(number, |c| c.fault = Fault::None);
        }
        _ => {}
    }
    match &shared.tls {
        None => requests(shared, stream, number).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                requests(shared, stream, number).await;
            }
        }
    }
}

/// Reads the first bytes that come and ends there; `Left`: waits for the client to leave.
async fn hello(stream: TcpStream, end: End) {
    let mut link = Link::new(stream);
    let end = match link.fill().await {
        Ok(1..) if end == End::Left => {
            link.gone().await;
            End::Left
        }
        Ok(1..) => end,
        Ok(0) | Err(_) => End::Left,
    };
    finish(link, end).await;
}

async fn requests(shared: &Shared, socket: impl Socket, connection: u64) {
    shared.log.on_connection(connection, |c| c.ready = true);
    let mut link = Link::new(socket);
    let mut nth = 0;
    let end = loop {
        match request(shared, &mut link, connection, nth).await {
            Ok(None) => nth += 1,
            Ok(Some(end)) => break end,
            Err(_) => break End::Left,
        }
    };
    finish(link, end).await;
}

/// Reads and answers one request; `None` when the connection can carry another.
async fn request(shared: &Shared, link: &mut Link<impl Socket>, connection: u64, nth: u64) -> io::Result<Option<End>> {
    let head = match link.head().await {
        Ok(Some(head)) => head,
        Ok(None) => return Ok(Some(End::Left)),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            link.send(&Answer::whole(400, "text/plain", format!("{e}\n")).head(0, true)).await?;
            link.send(format!("{e}\n").as_bytes()).await?;
            return Ok(Some(End::Close));
        }
        Err(e) => return Err(e),
    };
    let number = shared.log.request(connection, nth, &head);
    let fault = shared.choose(&Moment::Request { connection, nth, ordinal: number, head: &head });
    shared.log.on_request(number, |r| r.fault = fault.clone());

    let stop = match fault {
        Fault::ResetMidRequest(stop) | Fault::CloseMidRequest(stop) | Fault::StallMidRequest(stop) => Some(stop),
        _ => None,
    };
    let (body, content) = read(link, &head, stop).await?;
    let complete = body.complete;
    shared.log.on_request(number, |r| r.body = body.clone());
    match fault {
        Fault::ResetMidRequest(_) => return Ok(Some(End::Reset)),
        Fault::CloseMidRequest(_) => return Ok(Some(End::Close)),
        // Whoever reads nothing does not learn that the client has left either.
        Fault::StallMidRequest(_) => std::future::pending().await,
        _ => {}
    }
    if !complete {
        return Ok(Some(End::Left));
    }
    let sent = answer(shared, link, number, &head, &body, &content, &fault).await;
    if !matches!(sent, Ok(None)) && shared.log.read(|l| !matches!(l.requests[number as usize].answered, Answered::Whole(_))) {
        let left = matches!(sent, Err(_) | Ok(Some(End::Left)));
        shared.log.on_request(number, |r| r.abandoned = left.then(tokio::time::Instant::now));
    }
    sent
}

/// Gives the response, or as much of it as the fault leaves.
async fn answer(
    shared: &Shared,
    link: &mut Link<impl Socket>,
    number: u64,
    head: &Head,
    body: &Body,
    content: &[u8],
    fault: &Fault,
) -> io::Result<Option<End>> {
    let mut whole = api::answer(head, body, content);
    let close = head.minor == 0 || head.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
    let mut writer = Writer::new(link, &shared.log, number, head.method == "HEAD");
    let cut = match fault {
        Fault::ResetOnReuse | Fault::ResetBeforeHeaders => return Ok(Some(End::Reset)),
        Fault::CloseOnReuse | Fault::CloseBeforeHeaders => return Ok(Some(End::Close)),
        Fault::StallBeforeHeaders => return Ok(Some(writer.silence().await)),
        Fault::GarbageStatusLine => {
            writer.raw(b"THIS IS NOT A STATUS LINE\r\n\r\n").await?;
            return Ok(Some(End::Close));
        }
        Fault::HugeHead(bytes) => {
            whole = whole.header("x-filler", "x".repeat(*bytes));
            Cut::Nowhere
        }
        Fault::Interim(count) => {
            whole.interim = vec![103; *count];
            Cut::Nowhere
        }
        Fault::Status(status, headers) => {
            whole = api::error(head.path(), *status, "the upstream declines, as planned");
            whole.headers.extend(headers.iter().cloned());
            Cut::Nowhere
        }
        Fault::ErrorEvent(events) => {
            whole = api::interrupted(whole, head.path(), *events);
            Cut::Nowhere
        }
        Fault::NeverEnds => {
            whole = api::endless();
            Cut::Nowhere
        }
        Fault::HeadersThenSilence => Cut::At(Mark::Bytes(0), WriteOutcome::Stall),
        Fault::ResetInHead(bytes) => Cut::InHead(*bytes, WriteOutcome::Reset),
        Fault::CloseInHead(bytes) => Cut::InHead(*bytes, WriteOutcome::Close),
        Fault::StallInHead(bytes) => Cut::InHead(*bytes, WriteOutcome::Stall),
        Fault::ResetAfter(mark) => Cut::At(*mark, WriteOutcome::Reset),
        Fault::TruncateAfter(mark) => Cut::At(*mark, WriteOutcome::Close),
        Fault::StallAfter(mark) => Cut::At(*mark, WriteOutcome::Stall),
        Fault::BadChunk(mark) => Cut::At(*mark, WriteOutcome::BadChunk),
        // A stream has no length to lie about, so the lie is about the same words with one.
        Fault::LyingContentLength(more) => Cut::Lie(i64::try_from(*more).unwrap_or(i64::MAX)),
        Fault::ShortContentLength(less) => Cut::Lie(-i64::try_from(*less).unwrap_or(i64::MAX)),
        Fault::Slice(bytes) => {
            writer.slice(*bytes, Duration::ZERO);
            Cut::Nowhere
        }
        Fault::Drip(bytes, every) => {
            writer.slice(*bytes, *every);
            Cut::Nowhere
        }
        Fault::None | Fault::CloseIdle(_) | Fault::ResetIdle(_) | Fault::CloseOnNextByte | Fault::ResetOnNextByte => Cut::Nowhere,
        // These strike before a request is read whole.
        Fault::ResetAtAccept
        | Fault::Overflow
        | Fault::ResetInTls
        | Fault::CloseInTls
        | Fault::StallInTls
        | Fault::ResetHelloOver(_)
        | Fault::ResetInServerHello(_)
        | Fault::StallInServerHello(_)
        | Fault::ResetMidRequest(_)
        | Fault::CloseMidRequest(_)
        | Fault::StallMidRequest(_) => Cut::Nowhere,
    };
    let whole = super::coding::encode(whole, head.query("coding"));
    if let Some(end) = writer.answer(whole, close, cut).await? {
        return Ok(Some(end));
    }
    match fault {
        _ if close => Ok(Some(End::Close)),
        Fault::CloseIdle(after) => Ok(idle(link, *after, End::Drop).await),
        Fault::ResetIdle(after) => Ok(idle(link, *after, End::Reset).await),
        Fault::CloseOnNextByte => Ok(next_byte(link, End::Close).await),
        Fault::ResetOnNextByte => Ok(next_byte(link, End::Reset).await),
        _ => Ok(None),
    }
}

/// Ends the connection when no request has begun within `after`.
async fn idle(link: &mut Link<impl Socket>, after: Duration, end: End) -> Option<End> {
    if link.has_unread() {
        return None;
    }
    match timeout(after, link.fill()).await {
        Err(_) => Some(end),
        Ok(Ok(1..)) => None,
        Ok(Ok(0) | Err(_)) => Some(End::Left),
    }
}

/// Ends the connection when the next request has begun.
async fn next_byte(link: &mut Link<impl Socket>, end: End) -> Option<End> {
    let begun = link.has_unread() || matches!(link.fill().await, Ok(1..));
    Some(if begun { end } else { End::Left })
}

/// Reads a request's body, at most `stop` bytes of it, and asks for it first when the client waits to be asked.
async fn read(link: &mut Link<impl Socket>, head: &Head, stop: Option<u64>) -> io::Result<(Body, BytesMut)> {
    let (mut hash, mut body, mut content) = (digest::Context::new(&digest::SHA256), Body::default(), BytesMut::new());
    let Some(mut reader) = BodyReader::of(head) else {
        body.sha256 = hex(hash.finish().as_ref());
        body.complete = true;
        body.kept = Some(bytes::Bytes::new());
        return Ok((body, content));
    };
    if head.header("expect").is_some_and(|v| v.eq_ignore_ascii_case("100-continue")) && stop != Some(0) {
        link.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while stop.is_none_or(|stop| body.length < stop) {
        match link.part(&mut reader).await {
            Ok(Part::Content(part)) => {
                body.length += part.len() as u64;
                hash.update(&part);
                if content.len() + part.len() <= UNDERSTOOD_BODY {
                    content.extend_from_slice(&part);
                }
            }
            Ok(Part::End(trailers)) => {
                body.trailers = trailers;
                body.complete = true;
                break;
            }
            Err(_) => break,
        }
    }
    body.sha256 = hex(hash.finish().as_ref());
    body.kept = (body.complete && body.length <= KEPT_BODY as u64).then(|| bytes::Bytes::copy_from_slice(&content));
    Ok((body, content))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Closes the connection in the way that was chosen.
async fn finish(mut link: Link<impl Socket>, end: End) {
    match end {
        End::Left => {}
        // A failure to set it leaves an ordinary close, which the log then shows as a test that did not fail.
        End::Reset => drop(link.socket.tcp().set_zero_linger()),
        End::Drop => drop(link.socket.shutdown().await),
        End::Close => {
            if link.socket.shutdown().await.is_ok() {
                drop(timeout(LINGER, link.gone()).await);
            }
        }
    }
}
