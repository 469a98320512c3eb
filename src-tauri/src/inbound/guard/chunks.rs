//! Where a chunked body ends, counted along as bytes pass (RFC 9112 section 7.1). Pure; hyper does the decoding.

/// A scanner that has seen the body's bytes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    state: State,
    /// Size being read, then bytes of the chunk still to come.
    size: u64,
    digits: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

impl Chunks {
    /// Takes in bytes; returns how many belong to the body and whether it has ended. `None`: the coding is broken.
    pub fn scan(&mut self, bytes: &[u8]) -> Option<(usize, bool)> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let take = usize::try_from(self.size).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.size -= take as u64;
                at += take;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            self.state = self.step(bytes[at])?;
            at += 1;
        }
        Some((at, self.state == State::Done))
    }

    fn step(&mut self, byte: u8) -> Option<State> {
        Some(match (self.state, byte) {
            (State::Size, b) if b.is_ascii_hexdigit() => {
                // 15 hexadecimal digits are an exabyte.
                self.digits = self.digits.checked_add(1).filter(|d| *d <= 15)?;
                self.size = (self.size << 4) | u64::from((b as char).to_digit(16)?);
                State::Size
            }
            (State::Size, b';' | b' ' | b'\t') if self.digits > 0 => State::Extension,
            (State::Size | State::Extension, b'\r') if self.digits > 0 => State::SizeLf,
            (State::Extension, b) if b != b'\n' => State::Extension,
            (State::SizeLf, b'\n') => {
                self.digits = 0;
                if self.size == 0 { State::TrailerStart } else { State::Data }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerStart | State::Trailer, b) if b != b'\n' => State::Trailer,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::Done,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_in_any_slicing() {
        let body = b"5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\nNEXT";
        let end = body.len() - 4;
        for step in 1..=body.len() {
            let mut chunks = Chunks::default();
            let mut at = 0;
            for part in body.chunks(step) {
                let (taken, done) = chunks.scan(part).unwrap();
                at += taken;
                if done {
                    break;
                }
            }
            assert_eq!(at, end, "slices of {step}");
        }
    }

    #[test]
    fn broken_coding_is_seen() {
        for bad in ["\r\n", "g\r\n", "5\nhello", "5\r\nhelloX", "5\r\nhello\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\n", "0\r\nA\n"] {
            assert_eq!(Chunks::default().scan(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
