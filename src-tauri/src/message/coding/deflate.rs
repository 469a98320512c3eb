//! Deflate in its three wrappers: gzip's, zlib's, none. Knows nothing of events, keeps nothing but a head or a foot.

use super::step::{Broken, Step};
use flate2::{Crc, Decompress, FlushDecompress, Status};

/// A longer head of a member (it may hold a file's name and comment) is none that a server sends.
const LONGEST_HEAD: usize = 4 << 10;
/// The last block, empty: what ends deflate after a flush.
const LAST_BLOCK: [u8; 2] = [3, 0];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrapper {
    Gzip,
    Zlib,
    Bare,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the head, or before the first byte.
    Head,
    Data,
    Foot,
    /// The body's end; clients ignore what comes after it.
    End,
}

/// One body.
pub(super) struct Deflate {
    /// `None`: the first two bytes say whether it is zlib's or bare.
    wrapper: Option<Wrapper>,
    place: Place,
    /// Head or foot, as far as they are there.
    kept: Vec<u8>,
    inflate: Decompress,
    crc: Crc,
    /// Zlib's checksum.
    adler: (u32, u32),
    /// A member has ended whole.
    ended_once: bool,
}

impl Deflate {
    pub(super) fn gzip() -> Self {
        Self { wrapper: Some(Wrapper::Gzip), ..Self::unknown() }
    }

    pub(super) fn unknown() -> Self {
        Self {
            wrapper: None,
            place: Place::Head,
            kept: Vec::new(),
            inflate: Decompress::new(false),
            crc: Crc::new(),
            adler: (1, 0),
            ended_once: false,
        }
    }

    /// Looks at the next byte of a head.
    fn head(&mut self, byte: u8) -> Result<(), Broken> {
        self.kept.push(byte);
        let begins = match self.wrapper {
            Some(Wrapper::Gzip) => {
                if self.ended_once && !b"\x1f\x8b".starts_with(&self.kept[..self.kept.len().min(2)]) {
                    self.place = Place::End;
                    return Ok(());
                }
                gzip_head(&self.kept)?
            }
            _ if self.kept.len() < 2 => false,
            _ => {
                let (first, second) = (self.kept[0], self.kept[1]);
                let zlib = first & 0x0F == 8 && u16::from_be_bytes([first, second]) % 31 == 0;
                if zlib && second & 0x20 != 0 {
                    return Err(Broken); // a dictionary that nobody has
                }
                self.wrapper = Some(if zlib { Wrapper::Zlib } else { Wrapper::Bare });
                true
            }
        };
        if begins {
            self.place = Place::Data;
            if self.wrapper != Some(Wrapper::Bare) {
                self.kept.clear();
            }
        }
        Ok(())
    }

    fn data(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Broken> {
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, output, FlushDecompress::None).map_err(|_| Broken)?;
        let moved = |before: u64, now: u64| usize::try_from(now - before).map_err(|_| Broken);
        let (read, written) = (moved(read, self.inflate.total_in())?, moved(written, self.inflate.total_out())?);
        match self.wrapper {
            Some(Wrapper::Gzip) => self.crc.update(&output[..written]),
            Some(Wrapper::Zlib) => self.adler = adler(self.adler, &output[..written]),
            _ => {}
        }
        if status == Status::StreamEnd {
            self.place = if self.wrapper == Some(Wrapper::Bare) { Place::End } else { Place::Foot };
        }
        Ok((read, written))
    }

    fn foot(&self) -> Vec<u8> {
        match self.wrapper {
            Some(Wrapper::Gzip) => [self.crc.sum().to_le_bytes(), self.crc.amount().to_le_bytes()].concat(),
            Some(Wrapper::Zlib) => ((self.adler.1 << 16) | self.adler.0).to_be_bytes().into(),
            _ => Vec::new(),
        }
    }

    /// The foot is there whole: it must be the right one.
    fn check(&mut self) -> Result<(), Broken> {
        if self.kept != self.foot() {
            return Err(Broken);
        }
        self.kept.clear();
        self.place = Place::End;
        if self.wrapper == Some(Wrapper::Gzip) {
            (self.place, self.ended_once) = (Place::Head, true);
            self.inflate.reset(false);
            self.crc.reset();
        }
        Ok(())
    }
}

impl Step for Deflate {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Broken> {
        match (self.place, input.first()) {
            (Place::Data, _) if !self.kept.is_empty() => {
                // What showed that there is no wrapper belongs to the data.
                let kept = std::mem::take(&mut self.kept);
                let (read, written) = self.data(&kept, output)?;
                if read < kept.len() && self.place == Place::Data {
                    return Err(Broken);
                }
                if written > 0 || input.is_empty() {
                    return Ok((0, written));
                }
                self.step(input, output)
            }
            (Place::Data, _) => self.data(input, output),
            (Place::End, _) => Ok((input.len(), 0)),
            (_, None) => Ok((0, 0)),
            (Place::Head, Some(byte)) => self.head(*byte).map(|()| (1, 0)),
            (Place::Foot, Some(byte)) => {
                self.kept.push(*byte);
                if self.kept.len() == self.foot().len() {
                    self.check()?;
                }
                Ok((1, 0))
            }
        }
    }

    fn is_open(&self) -> bool {
        match self.place {
            Place::Head => !self.kept.is_empty(),
            Place::Data | Place::Foot => true,
            Place::End => false,
        }
    }

    fn ending(&self) -> Vec<u8> {
        match self.place {
            Place::Head | Place::End => Vec::new(),
            Place::Data => [&LAST_BLOCK[..], &self.foot()].concat(),
            Place::Foot => self.foot().split_off(self.kept.len()),
        }
    }
}

/// True when the head of a gzip member is whole.
fn gzip_head(head: &[u8]) -> Result<bool, Broken> {
    let magic = b"\x1f\x8b\x08";
    if !magic.starts_with(&head[..head.len().min(3)]) || head.len() > LONGEST_HEAD {
        return Err(Broken);
    }
    let Some((fixed, mut rest)) = head.split_at_checked(10) else { return Ok(false) };
    let flags = fixed[3];
    if flags & 4 != 0 {
        let Some((length, after)) = rest.split_at_checked(2) else { return Ok(false) };
        let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
        let Some(after) = after.get(length..) else { return Ok(false) };
        rest = after;
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            let Some(end) = memchr::memchr(0, rest) else { return Ok(false) };
            rest = &rest[end + 1..];
        }
    }
    Ok(rest.len() >= if flags & 2 != 0 { 2 } else { 0 })
}

fn adler(sums: (u32, u32), data: &[u8]) -> (u32, u32) {
    const BASE: u32 = 65521;
    // So many bytes cannot overflow the sums.
    data.chunks(5552).fold(sums, |(a, b), part| {
        let (a, b) = part.iter().fold((a, b), |(a, b), byte| (a + u32::from(*byte), b + a + u32::from(*byte)));
        (a % BASE, b % BASE)
    })
}
