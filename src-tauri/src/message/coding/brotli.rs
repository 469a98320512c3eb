//! Brotli, by its pure decoder. Knows nothing of events.

use super::step::{Broken, Step};
use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

/// One body. Its window grows with what comes, to 16 MiB at most: larger ones are not in the standard.
pub(super) struct Brotli {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    begun: bool,
    ended: bool,
}

impl Brotli {
    pub(super) fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self { state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())), begun: false, ended: false }
    }
}

impl Step for Brotli {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Broken> {
        if self.ended {
            return Ok((input.len(), 0)); // clients ignore it
        }
        self.begun |= !input.is_empty();
        let (mut left, mut read, mut room, mut written, mut total) = (input.len(), 0, output.len(), 0, 0);
        let result =
            BrotliDecompressStream(&mut left, &mut read, input, &mut room, &mut written, output, &mut total, &mut self.state);
        match result {
            BrotliResult::ResultFailure => return Err(Broken),
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok((read, written))
    }

    fn is_open(&self) -> bool {
        self.begun && !self.ended
    }

    /// The last block, empty.
    fn ending(&self) -> Vec<u8> {
        vec![3]
    }
}
