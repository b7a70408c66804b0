//! A run of bytes read as a script of operations, so that proptest and libFuzzer drive the same models.
#![allow(dead_code)] // Each test binary uses its part.

/// Reads numbers from `bytes` until they end.
pub(crate) struct Script<'a> {
    bytes: &'a [u8],
}

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The next byte; `None` ends the script.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    /// A size: small ones often, up to 8 KiB now and then.
    pub(crate) fn size(&mut self) -> Option<usize> {
        let byte = usize::from(self.next()?);
        Some(if byte < 192 { byte } else { (byte - 191) * 128 })
    }

    /// One of `len` places; the first where there is none, for the caller to skip.
    pub(crate) fn place(&mut self, len: usize) -> Option<usize> {
        Some(usize::from(self.next()?) % len.max(1))
    }
}
