//! The writing side: puts a response on the wire, up to the point where a fault cuts it.

use super::{
    answer::{Answer, Framing, Piece, reason},
    connection::End,
    fault::Mark,
    log::{Answered, Log},
    wire::{Link, Socket},
};
use bytes::Bytes;
use std::{io, time::Duration};

/// Where a response goes wrong, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Nowhere,
    /// After this many bytes of the head.
    InHead(usize, WriteOutcome),
    At(Mark, WriteOutcome),
    /// The length is claimed to be this much more than it is.
    Lie(i64),
}

/// What is done where a response is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteOutcome {
    Reset,
    Close,
    Stall,
    BadChunk,
}

/// Writes the response to one request.
pub(super) struct Writer<'a, S> {
    link: &'a mut Link<S>,
    log: &'a Log,
    request: u64,
    bodiless: bool,
    slice: usize,
    /// Pause before each slice.
    every: Duration,
    /// Bytes that wait to be written at once.
    gathered: Option<Vec<u8>>,
}

impl<'a, S: Socket> Writer<'a, S> {
    pub(super) fn new(link: &'a mut Link<S>, log: &'a Log, request: u64, bodiless: bool) -> Self {
        Self { link, log, request, bodiless, slice: usize::MAX, every: Duration::ZERO, gathered: None }
    }

    /// From now on at most this many bytes are written at a time, with a pause before each time.
    pub(super) fn slice(&mut self, bytes: usize, every: Duration) {
        (self.slice, self.every) = (bytes.max(1), every);
    }

    /// Bytes as they are.
    pub(super) async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(gathered) = &mut self.gathered {
            gathered.extend_from_slice(bytes);
            return Ok(());
        }
        for part in bytes.chunks(self.slice) {
            if !self.every.is_zero() {
                tokio::time::sleep(self.every).await;
            }
            self.link.send(part).await?;
            if self.slice != usize::MAX {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Writes what was buffered.
    async fn release(&mut self) -> io::Result<()> {
        match &mut self.gathered {
            Some(gathered) => self.link.send(&std::mem::take(gathered)).await,
            None => Ok(()),
        }
    }

    /// Sends nothing more and waits for the client to leave.
    pub(super) async fn silence(&mut self) -> End {
        self.link.gone().await;
        End::Left
    }

    /// Waits; false when the client left meanwhile.
    async fn pause(&mut self, wait: Duration) -> io::Result<bool> {
        if wait.is_zero() {
            return Ok(true);
        }
        self.release().await?;
        Ok(tokio::time::timeout(wait, self.link.gone()).await.is_err())
    }

    /// The whole response, or as much of it as the cut leaves; `None` when the connection can carry another.
    pub(super) async fn answer(&mut self, answer: Answer, close: bool, cut: Cut) -> io::Result<Option<End>> {
        if let Cut::InHead(_, WriteOutcome::Reset) | Cut::At(_, WriteOutcome::Reset) = cut {
            // An RST throws away what the kernel has not sent yet, and it begins with few segments at a time.
            self.gathered = Some(Vec::new());
        }
        let end = self.head_and_body(answer, close, cut).await?;
        self.release().await?;
        Ok(end)
    }

    async fn head_and_body(&mut self, mut answer: Answer, close: bool, cut: Cut) -> io::Result<Option<End>> {
        self.bodiless |= matches!(answer.status, 204 | 304);
        let lie = if let Cut::Lie(more) = cut { more } else { 0 };
        if lie != 0 {
            answer = measured(answer);
        } else if matches!(cut, Cut::At(_, WriteOutcome::BadChunk)) {
            answer.framing = Framing::Chunked;
        }
        if !self.pause(answer.wait).await? {
            return Ok(Some(End::Left));
        }
        for status in &answer.interim {
            let interim = format!("HTTP/1.1 {status} {}\r\nlink: </style.css>; rel=preload\r\n\r\n", reason(*status));
            self.raw(interim.as_bytes()).await?;
        }
        let head = answer.head(lie, close);
        self.log.on_request(self.request, |r| r.answered = Answered::Head(answer.status));
        if let Cut::InHead(bytes, deed) = cut {
            self.raw(&head[..bytes.min(head.len() - 1)]).await?;
            return self.cut(deed).await.map(Some);
        }
        self.raw(&head).await?;
        if !self.bodiless
            && let Some(end) = self.body(&mut answer, cut).await?
        {
            return Ok(Some(end));
        }
        self.log.on_request(self.request, |r| r.answered = Answered::Whole(answer.status));
        Ok(None)
    }

    async fn body(&mut self, answer: &mut Answer, cut: Cut) -> io::Result<Option<End>> {
        let (mut bytes, mut events) = (0, 0);
        for Piece { wait, bytes: piece } in answer.pieces.by_ref() {
            let room = if let Cut::At(mark, _) = cut { room(mark, bytes, events) } else { u64::MAX };
            if let (0, Cut::At(_, deed)) = (room, cut) {
                return self.cut(deed).await.map(Some);
            }
            if !self.pause(wait).await? {
                return Ok(Some(End::Left));
            }
            let part = piece.slice(..piece.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            self.piece(answer.framing, &part).await?;
            (bytes, events) = (bytes + part.len() as u64, events + 1);
            if let (true, Cut::At(_, deed)) = (part.len() < piece.len(), cut) {
                return self.cut(deed).await.map(Some);
            }
        }
        match cut {
            Cut::At(mark, deed) if mark == Mark::End || room(mark, bytes, events) == 0 => {
                return self.cut(deed).await.map(Some);
            }
            Cut::Lie(1..) => return Ok(Some(End::Close)),
            _ => {}
        }
        if answer.framing == Framing::Chunked {
            let trailers: String = answer.trailers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
            self.raw(format!("0\r\n{trailers}\r\n").as_bytes()).await?;
        }
        Ok(None)
    }

    async fn piece(&mut self, framing: Framing, part: &Bytes) -> io::Result<()> {
        match framing {
            Framing::Length(_) => self.raw(part).await,
            Framing::Chunked if part.is_empty() => Ok(()),
            Framing::Chunked => {
                // One write, as servers do: a size line of its own would only cost a segment.
                let mut chunk = format!("{:x}\r\n", part.len()).into_bytes();
                chunk.extend_from_slice(part);
                chunk.extend_from_slice(b"\r\n");
                self.raw(&chunk).await
            }
        }
    }

    async fn cut(&mut self, deed: WriteOutcome) -> io::Result<End> {
        Ok(match deed {
            WriteOutcome::Reset => End::Reset,
            WriteOutcome::Close => End::Close,
            WriteOutcome::Stall => self.silence().await,
            WriteOutcome::BadChunk => {
                self.raw(b"this is no chunk size\r\n").await?;
                End::Close
            }
        })
    }
}

/// Bytes that may be sent before the mark is reached.
fn room(mark: Mark, bytes: u64, events: u64) -> u64 {
    match mark {
        Mark::Bytes(limit) => limit.saturating_sub(bytes),
        Mark::Events(limit) if events >= limit => 0,
        Mark::Events(_) | Mark::End => u64::MAX,
    }
}

/// The same response with its length known, which a lie about it needs.
fn measured(mut answer: Answer) -> Answer {
    let body: Vec<u8> = answer.pieces.by_ref().flat_map(|p| p.bytes).collect();
    answer.framing = Framing::Length(body.len() as u64);
    answer.pieces = Box::new(std::iter::once(Piece { wait: Duration::ZERO, bytes: body.into() }));
    answer
}
