//! The writing side: puts an answer on the wire, up to the point where a fault cuts it.

use super::{
    answer::{Answer, Framing, Piece, reason},
    connection::End,
    fault::Mark,
    log::{Answered, Log},
    wire::{Link, Socket},
};
use bytes::Bytes;
use std::{io, time::Duration};

/// Where an answer goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Nowhere,
    InHead(usize),
    Reset(Mark),
    Truncate(Mark),
    Stall(Mark),
    Lie(u64),
    BadChunk,
}

/// Writes the answer to one request.
pub(super) struct Writer<'a, S> {
    link: &'a mut Link<S>,
    log: &'a Log,
    request: u64,
    bodiless: bool,
    slice: usize,
}

impl<'a, S: Socket> Writer<'a, S> {
    pub(super) fn new(link: &'a mut Link<S>, log: &'a Log, request: u64, bodiless: bool) -> Self {
        Self { link, log, request, bodiless, slice: usize::MAX }
    }

    /// From now on at most this many bytes are written at a time.
    pub(super) fn slice(&mut self, bytes: usize) {
        self.slice = bytes.max(1);
    }

    /// Bytes as they are.
    pub(super) async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(self.slice) {
            self.link.send(part).await?;
            if self.slice != usize::MAX {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Sends nothing more and waits for the client to leave.
    pub(super) async fn silence(&mut self) -> End {
        self.link.gone().await;
        End::Left
    }

    /// Waits; false when the client left meanwhile.
    async fn pause(&mut self, wait: Duration) -> bool {
        wait.is_zero() || tokio::time::timeout(wait, self.link.gone()).await.is_err()
    }

    /// The whole answer, or as much of it as the cut leaves; `None` when the connection can carry another.
    pub(super) async fn answer(&mut self, mut answer: Answer, close: bool, cut: Cut) -> io::Result<Option<End>> {
        self.bodiless |= matches!(answer.status, 204 | 304);
        let lie = if let Cut::Lie(more) = cut { more } else { 0 };
        if lie > 0 {
            answer = measured(answer);
        } else if cut == Cut::BadChunk {
            answer.framing = Framing::Chunked;
        }
        if !self.pause(answer.wait).await {
            return Ok(Some(End::Left));
        }
        for status in &answer.interim {
            let interim = format!("HTTP/1.1 {status} {}\r\nlink: </style.css>; rel=preload\r\n\r\n", reason(*status));
            self.raw(interim.as_bytes()).await?;
        }
        let head = answer.head(lie, close);
        self.log.on_request(self.request, |r| r.answered = Answered::Head(answer.status));
        if let Cut::InHead(bytes) = cut {
            self.raw(&head[..bytes.min(head.len() - 1)]).await?;
            return Ok(Some(End::Reset));
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
            let room = match cut {
                Cut::Reset(mark) | Cut::Truncate(mark) | Cut::Stall(mark) => room(mark, bytes, events),
                Cut::Nowhere | Cut::InHead(_) | Cut::Lie(_) | Cut::BadChunk => u64::MAX,
            };
            if room == 0 {
                return Ok(Some(self.cut(cut).await));
            }
            if !self.pause(wait).await {
                return Ok(Some(End::Left));
            }
            let part = piece.slice(..piece.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            self.piece(answer.framing, &part).await?;
            (bytes, events) = (bytes + part.len() as u64, events + 1);
            if part.len() < piece.len() {
                return Ok(Some(self.cut(cut).await));
            }
            if cut == Cut::BadChunk {
                self.raw(b"this is no chunk size\r\n").await?;
                return Ok(Some(End::Close));
            }
        }
        match cut {
            Cut::Reset(mark) | Cut::Truncate(mark) | Cut::Stall(mark) if room(mark, bytes, events) == 0 => {
                return Ok(Some(self.cut(cut).await));
            }
            Cut::Lie(_) => return Ok(Some(End::Close)),
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

    async fn cut(&mut self, cut: Cut) -> End {
        match cut {
            Cut::Reset(_) | Cut::InHead(_) => End::Reset,
            Cut::Stall(_) => self.silence().await,
            Cut::Truncate(_) | Cut::Lie(_) | Cut::BadChunk | Cut::Nowhere => End::Close,
        }
    }
}

/// Bytes that may be sent before the mark is reached.
fn room(mark: Mark, bytes: u64, events: u64) -> u64 {
    match mark {
        Mark::Bytes(limit) => limit.saturating_sub(bytes),
        Mark::Events(limit) if events >= limit => 0,
        Mark::Events(_) => u64::MAX,
    }
}

/// The same answer with its length known, which a lie about it needs.
fn measured(mut answer: Answer) -> Answer {
    let body: Vec<u8> = answer.pieces.by_ref().flat_map(|p| p.bytes).collect();
    answer.framing = Framing::Length(body.len() as u64);
    answer.pieces = Box::new(std::iter::once(Piece { wait: Duration::ZERO, bytes: body.into() }));
    answer
}
