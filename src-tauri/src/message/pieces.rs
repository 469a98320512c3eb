//! The pieces of a body in the order in which they came. Many tiny ones are joined, so that bookkeeping never outweighs the
//! bytes; no byte is copied twice.

use bytes::{Bytes, BytesMut};

/// So many pieces are looked at together.
const TAIL: usize = 4096;

/// Pieces that are smaller than this on average are joined.
const TINY: usize = 1024;

/// A growing list of pieces.
#[derive(Default)]
pub(super) struct Pieces {
    list: Vec<Bytes>,
    /// How many of them will never be joined again.
    settled: usize,
}

impl Pieces {
    /// Adds what came next.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.list.push(piece);
        let tail = &self.list[self.settled..];
        if tail.len() < TAIL {
            return;
        }
        let bytes = tail.iter().map(Bytes::len).sum();
        if bytes < TAIL * TINY {
            let mut joined = BytesMut::with_capacity(bytes);
            tail.iter().for_each(|p| joined.extend_from_slice(p));
            self.list.truncate(self.settled);
            self.list.push(joined.freeze());
        }
        self.settled = self.list.len();
    }

    /// All of them.
    pub(super) fn into_list(self) -> Vec<Bytes> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Pushes so many pieces of a size; the list, and the bytes that were copied on the way: a piece that lies at another
    /// address than any before it, though nobody sent it.
    fn push(count: usize, size: usize) -> (Vec<Bytes>, usize) {
        let sent = Bytes::from((0..size + 251).map(|i| (i % 251) as u8).collect::<Vec<_>>());
        let own = sent.as_ptr_range();
        let (mut pieces, mut copied) = (Pieces::default(), 0);
        for i in 0..count {
            let before: HashSet<_> = match pieces.list.len() - pieces.settled {
                n if n + 1 < TAIL => HashSet::new(),
                _ => pieces.list.iter().map(|p| p.as_ptr()).filter(|p| !own.contains(p)).collect(),
            };
            let length = pieces.list.len();
            pieces.push(sent.slice(i % 251..i % 251 + size));
            if pieces.list.len() <= length {
                let new = pieces.list.iter().filter(|p| !own.contains(&p.as_ptr()) && !before.contains(&p.as_ptr()));
                copied += new.map(Bytes::len).sum::<usize>();
            }
        }
        (pieces.into_list(), copied)
    }

    #[test]
    fn each_byte_of_tiny_pieces_is_copied_once_at_most() {
        let count = 20 * TAIL + 7;
        let (list, copied) = push(count, 1);
        assert_eq!(list.len(), 20 + 7, "joined");
        assert_eq!(copied, 20 * TAIL, "of {count} bytes");
        let all: Vec<u8> = list.concat();
        assert!(all.len() == count && all.iter().enumerate().all(|(i, b)| usize::from(*b) == i % 251), "in their order");
    }

    #[test]
    fn pieces_of_a_fair_size_stay_where_they_are() {
        let (list, copied) = push(2 * TAIL, TINY);
        assert_eq!((list.len(), copied), (2 * TAIL, 0));
    }
}
