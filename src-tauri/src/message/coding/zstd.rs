//! Zstandard, by the reference library: the pure decoder shows nothing of a frame before its window is full. Knows nothing of events.

use super::step::{Broken, Step};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

/// Windows of 8 MiB are the largest that a server may use (RFC 9659).
const WINDOW: u32 = 23;

/// One body.
pub(super) struct Zstd {
    context: DCtx<'static>,
    open: bool,
}

impl Zstd {
    /// `None` where there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        let mut context = DCtx::try_create()?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW)).ok()?;
        Some(Self { context, open: false })
    }
}

impl Step for Zstd {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), Broken> {
        if !self.open && input.is_empty() {
            return Ok((0, 0));
        }
        let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(output));
        let wanted = self.context.decompress_stream(&mut to, &mut from).map_err(|_| Broken)?;
        self.open = wanted != 0;
        Ok((from.pos(), to.pos()))
    }

    fn is_open(&self) -> bool {
        self.open
    }

    /// The last block, empty. A frame with a checksum wants more, and cannot be ended so.
    fn ending(&self) -> Vec<u8> {
        vec![1, 0, 0]
    }
}
