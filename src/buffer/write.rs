//! The traits by which others write into a buffer.

use super::buf::PooledBuf;
use core::borrow::{Borrow, BorrowMut};
use core::{fmt, slice};
use std::io::{self, IoSlice};

/// Fails where there is no memory only.
impl io::Write for PooledBuf {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    /// Writes all of them, with room made once.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        self.try_reserve(bytes)?;
        slices.iter().for_each(|slice| self.extend_from_slice(slice));
        Ok(bytes)
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.segment_mut().append_whole(bytes) { Ok(()) } else { write_slow(self, bytes) }
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// With the error made in here: a serializer inlines `write_all` in a hundred places.
#[cold]
fn write_slow(buffer: &mut PooledBuf, bytes: &[u8]) -> io::Result<()> {
    Ok(buffer.try_extend_from_slice(bytes)?)
}

/// Never fails.
impl fmt::Write for PooledBuf {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Extend<u8> for PooledBuf {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        let bytes = bytes.into_iter();
        self.reserve(bytes.size_hint().0);
        bytes.for_each(|byte| self.extend_from_slice(&[byte]));
    }
}

impl<'a> Extend<&'a u8> for PooledBuf {
    fn extend<I: IntoIterator<Item = &'a u8>>(&mut self, bytes: I) {
        self.extend(bytes.into_iter().copied());
    }
}

impl AsRef<[u8]> for PooledBuf {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for PooledBuf {
    #[inline]
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl Borrow<[u8]> for PooledBuf {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl BorrowMut<[u8]> for PooledBuf {
    fn borrow_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl<'a> IntoIterator for &'a PooledBuf {
    type Item = &'a u8;
    type IntoIter = slice::Iter<'a, u8>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut PooledBuf {
    type Item = &'a mut u8;
    type IntoIter = slice::IterMut<'a, u8>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}
