//! What of a response is held back, in order: in memory up to a limit, the rest in a temporary file that has no name.

use super::room::Permit;
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

/// Frames that wait to be forwarded.
#[derive(Default)]
pub(crate) struct Buffer {
    memory: VecDeque<Bytes>,
    /// Bytes in memory and in the file together.
    bytes: u64,
    file: Option<File>,
    /// Bytes of the file that have not been read back.
    in_file: u64,
    reading: bool,
    /// What came after the file could not be written any more.
    behind: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    permit: Option<Permit>,
    /// What the file takes of the room for files.
    on_disk: Option<Permit>,
}

/// How much may be held, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of one response in memory.
    pub(crate) memory: u64,
    /// Of all requests and responses in memory.
    pub(crate) memory_total: u64,
    /// Of all responses in files.
    pub(crate) disk_total: u64,
}

/// Sizes only: a response never shows.
impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("bytes", &self.bytes).field("in_file", &self.in_file).finish_non_exhaustive()
    }
}

/// Read back in pieces of this size.
const PIECE: u64 = 64 << 10;

impl Buffer {
    /// Empty; what it holds is counted: in memory in `permit`, in its file in `on_disk`.
    pub(crate) fn new(permit: Permit, on_disk: Permit) -> Self {
        Self { permit: Some(permit), on_disk: Some(on_disk), ..Self::default() }
    }

    /// Bytes held.
    pub(crate) fn len(&self) -> u64 {
        self.bytes
    }

    /// True when trailers end it: then its length may not be announced, or they could not be sent.
    pub(crate) fn has_trailers(&self) -> bool {
        self.trailers.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.trailers.is_none()
    }

    /// Adds a frame. What memory may not hold goes to the file.
    ///
    /// Written in place: it goes to the system's cache, and only responses of many megabytes come here.
    ///
    /// # Errors
    /// When the file cannot be made or written, or may not grow; the frame is kept in memory all the same.
    pub(crate) fn push(&mut self, frame: Frame<Bytes>, limits: Limits) -> io::Result<()> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(other) => {
                self.trailers = other.into_trailers().ok();
                return Ok(());
            }
        };
        let length = data.len() as u64;
        self.bytes += length;
        if !self.behind.is_empty() {
            self.behind.push_back(data);
            return Ok(());
        }
        let fits = self.file.is_none()
            && self.bytes <= limits.memory
            && self.permit.as_mut().is_none_or(|p| p.grow(length, limits.memory_total));
        if fits {
            self.memory.push_back(data);
            return Ok(());
        }
        let spilled = self.spill(&data, limits.disk_total);
        match spilled {
            Ok(()) => self.in_file += length,
            Err(_) => self.behind.push_back(data),
        }
        spilled
    }

    fn spill(&mut self, data: &[u8], most: u64) -> io::Result<()> {
        if self.on_disk.as_mut().is_some_and(|permit| !permit.grow(data.len() as u64, most)) {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "temporary files may hold no more (stream.hold_disk)"));
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile()?),
        };
        file.write_all(data)
    }

    fn read_back(&mut self) -> Option<io::Result<Bytes>> {
        if self.in_file == 0 {
            (self.file, self.on_disk) = (None, None); // its space is free before the client has read the rest
            return None;
        }
        let file = self.file.as_mut()?;
        if !std::mem::replace(&mut self.reading, true)
            && let Err(e) = file.seek(SeekFrom::Start(0))
        {
            return Some(Err(e));
        }
        let mut piece = vec![0; usize::try_from(self.in_file.min(PIECE)).unwrap_or(0)];
        self.in_file -= piece.len() as u64;
        Some(file.read_exact(&mut piece).map(|()| piece.into()))
    }

    /// The next frame, in the order in which they came.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn pop(&mut self) -> Option<io::Result<Frame<Bytes>>> {
        let next = match self.memory.pop_front() {
            Some(data) => Some(Ok(data)),
            None => self.read_back().or_else(|| self.behind.pop_front().map(Ok)),
        };
        match next {
            Some(Ok(data)) => {
                self.bytes -= data.len() as u64;
                if let Some(permit) = &mut self.permit {
                    permit.shrink(data.len() as u64);
                }
                Some(Ok(Frame::data(data)))
            }
            Some(Err(e)) => Some(Err(e)),
            None => self.trailers.take().map(|t| Ok(Frame::trailers(t))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HeldBytes;

    fn limits(memory: u64, memory_total: u64) -> Limits {
        Limits { memory, memory_total, disk_total: u64::MAX }
    }

    fn data(buffer: &mut Buffer) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(frame) = buffer.pop() {
            if let Ok(piece) = frame.unwrap().into_data() {
                all.extend_from_slice(&piece);
            }
        }
        all
    }

    /// A full disk: the response is forwarded from here, and nothing of it may be missing or out of place.
    #[test]
    fn order_survives_a_file_that_takes_no_more() {
        let held = HeldBytes::default();
        let mut buffer = Buffer::new(held.permit(), HeldBytes::default().permit());
        let push = |buffer: &mut Buffer, text: &'static str| buffer.push(Frame::data(text.into()), limits(3, u64::MAX));
        push(&mut buffer, "one").unwrap();
        push(&mut buffer, "two").unwrap();
        assert!(!format!("{buffer:?}").contains("one"));
        let written = buffer.file.take().unwrap();
        let full = tempfile::NamedTempFile::new().unwrap();
        buffer.file = Some(File::open(full.path()).unwrap()); // takes no byte
        push(&mut buffer, "three").unwrap_err();
        push(&mut buffer, "four").unwrap();
        buffer.file = Some(written);
        assert_eq!(data(&mut buffer), b"onetwothreefour");
        assert!(buffer.is_empty() && held.now() == 0);
    }

    /// What cannot be read back is reported, and not left out.
    #[test]
    fn a_file_that_cannot_be_read_ends_the_answer() {
        let mut buffer = Buffer::default();
        buffer.push(Frame::data("one".into()), limits(0, 0)).unwrap();
        buffer.push(Frame::data("two".into()), limits(0, 0)).unwrap();
        buffer.file = Some(tempfile::tempfile().unwrap());
        assert!(matches!(buffer.pop(), Some(Err(_))));
        let full = tempfile::NamedTempFile::new().unwrap();
        buffer.push(Frame::data("three".into()), limits(0, 0)).unwrap();
        buffer.file = Some(File::open(full.path()).unwrap());
        buffer.push(Frame::data("four".into()), limits(0, 0)).unwrap_err();
        assert!(matches!(buffer.pop(), Some(Err(_))), "nothing passes behind what is missing");
    }

    #[test]
    fn order_survives_the_file() {
        for (memory, total) in [(u64::MAX, u64::MAX), (10, u64::MAX), (u64::MAX, 10), (0, 0)] {
            let (held, on_disk) = (HeldBytes::default(), HeldBytes::default());
            let mut buffer = Buffer::new(held.permit(), on_disk.permit());
            let mut wanted = Vec::new();
            for i in 0..200u8 {
                let piece = vec![i; 1000];
                wanted.extend_from_slice(&piece);
                buffer.push(Frame::data(piece.into()), limits(memory, total)).unwrap();
            }
            buffer.push(Frame::trailers(HeaderMap::new()), limits(memory, total)).unwrap();
            assert_eq!(buffer.len(), 200_000);
            assert_eq!(buffer.file.is_some(), memory.min(total) < 200_000);
            assert!(held.now() <= memory.min(total));
            assert_eq!(held.now() + on_disk.now(), 200_000);
            assert!(data(&mut buffer) == wanted, "memory {memory}, total {total}");
            assert!(buffer.is_empty() && held.now() == 0);
            assert!(on_disk.now() == 0 && buffer.file.is_none(), "the space is free as soon as it has been read");
        }
    }

    /// All files together have a limit; what does not fit any more stays in order.
    #[test]
    fn files_stay_within_their_room() {
        let on_disk = HeldBytes::default();
        let mut buffers = [(), ()].map(|()| Buffer::new(HeldBytes::default().permit(), on_disk.permit()));
        let limits = Limits { disk_total: 10, ..limits(0, 0) };
        for buffer in &mut buffers {
            buffer.push(Frame::data("four".into()), limits).unwrap();
        }
        let refused = buffers[0].push(Frame::data("five".into()), limits).unwrap_err();
        assert!(refused.to_string().contains("stream.hold_disk"), "{refused}");
        assert_eq!((on_disk.now(), data(&mut buffers[0])), (8, b"fourfive".to_vec()));
        assert_eq!(on_disk.now(), 4);
        buffers[1].push(Frame::data("six".into()), limits).unwrap();
    }
}
