//! Encoders, which are costly to make and so are pooled: half a megabyte each, most of it zeroed or filled anew.

use super::accept::Encoding;
use crate::buffer::PooledBuf;
use crate::pool::{Pool, PoolBuilder, PoolStats, Pooled, Reset, Verdict};
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::io;
use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective};

/// Room that an encoder is given at a time, in bytes.
const ROOM: usize = 4096;
/// The largest window that a zstd decoder of a browser has to take, as a power of two (RFC 9659): 8 MiB.
const WINDOW_LOG: u32 = 23;
/// Levels above this one would take a larger window.
const WINDOW_LEVEL: i32 = 19;
/// What the deflate encoder takes: two tables of hashes, a window, symbols and output, as `zlib-rs` has them. It does not tell.
const DEFLATE_BYTES: usize = 376 << 10;

/// What becomes of what an encoder still holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flush {
    No,
    /// The other end can decode all that went in.
    Sync,
    /// Nothing follows.
    End,
}

/// An encoder on lease.
pub(super) enum Encoder {
    Gzip(Pooled<Gzip>),
    Zstd(Pooled<Zstd>),
}

impl Encoder {
    /// Encodes `input` and appends to `output`, which grows as it must.
    pub(super) fn encode(&mut self, input: &[u8], output: &mut PooledBuf, flush: Flush) -> io::Result<()> {
        match self {
            Self::Gzip(gzip) => gzip.encode(input, output, flush),
            Self::Zstd(zstd) => zstd.encode(input, output, flush),
        }
    }
}

/// The encoders of one [`Compression`](super::Compression).
#[derive(Clone, Debug)]
pub(super) struct Encoders {
    gzip: Pool<Gzip>,
    zstd: Pool<Zstd>,
}

impl Encoders {
    pub(super) fn new(gzip_level: u32, zstd_level: i32) -> Self {
        // At high levels an encoder takes more than a pool would keep of one value; the bound on all of them holds.
        let zstd = PoolBuilder::default().max_value_bytes(usize::MAX).build(move || Zstd::new(zstd_level));
        Self { gzip: Pool::new(move || Gzip::new(gzip_level)), zstd }
    }

    pub(super) fn get(&self, encoding: Encoding) -> Encoder {
        match encoding {
            Encoding::Gzip => Encoder::Gzip(self.gzip.get()),
            Encoding::Zstd => Encoder::Zstd(self.zstd.get()),
        }
    }

    pub(super) fn stats(&self, encoding: Encoding) -> PoolStats {
        match encoding {
            Encoding::Gzip => self.gzip.stats(),
            Encoding::Zstd => self.zstd.stats(),
        }
    }
}

/// Appends room to `output`, lets `step` write into it, and keeps what it says that it wrote.
fn into_room<T>(output: &mut PooledBuf, step: impl FnOnce(&mut [u8]) -> io::Result<(usize, T)>) -> io::Result<T> {
    let before = output.len();
    output.resize(before + ROOM, 0);
    let (written, result) = step(&mut output[before..]).inspect_err(|_| output.truncate(before))?;
    output.truncate(before + written);
    Ok(result)
}

/// A gzip stream (RFC 1952) around a deflate encoder.
#[derive(Debug)]
pub(super) struct Gzip {
    deflate: Compress,
    checksum: Crc,
    has_begun: bool,
}

impl Gzip {
    /// Magic, deflate, no flags, no time, no extra, unknown system.
    const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

    fn new(level: u32) -> Self {
        Self { deflate: Compress::new(Compression::new(level), false), checksum: Crc::new(), has_begun: false }
    }

    fn encode(&mut self, mut input: &[u8], output: &mut PooledBuf, flush: Flush) -> io::Result<()> {
        if !self.has_begun {
            self.has_begun = true;
            output.extend_from_slice(&Self::HEAD);
        }
        self.checksum.update(input);
        let how = match flush {
            Flush::No => FlushCompress::None,
            Flush::Sync => FlushCompress::Sync,
            Flush::End => FlushCompress::Finish,
        };
        loop {
            let (consumed, status, is_full) = into_room(output, |room| {
                let before = (self.deflate.total_in(), self.deflate.total_out());
                let status = self.deflate.compress(input, room, how)?;
                // Both are within slices, and so fit.
                let consumed = (self.deflate.total_in() - before.0) as usize;
                let written = (self.deflate.total_out() - before.1) as usize;
                Ok((written, (consumed, status, written == room.len())))
            })?;
            input = &input[consumed..];
            let is_done = match flush {
                Flush::End => status == Status::StreamEnd,
                Flush::No | Flush::Sync => input.is_empty() && !is_full,
            };
            if is_done {
                break;
            }
        }
        if flush == Flush::End {
            output.extend_from_slice(&self.checksum.sum().to_le_bytes());
            output.extend_from_slice(&self.checksum.amount().to_le_bytes());
        }
        Ok(())
    }
}

impl Reset for Gzip {
    fn reset(&mut self) -> Verdict {
        self.deflate.reset();
        self.checksum.reset();
        self.has_begun = false;
        Verdict::Keep
    }

    fn retained_bytes(&self) -> usize {
        DEFLATE_BYTES
    }
}

/// A zstd stream (RFC 8878) of one frame.
pub(super) struct Zstd(CCtx<'static>);

impl Zstd {
    fn new(level: i32) -> Self {
        let mut context = CCtx::create();
        // Out of range it is clamped by the library; it cannot fail before a frame has begun.
        let _ = context.set_parameter(CParameter::CompressionLevel(level));
        if level > WINDOW_LEVEL {
            let _ = context.set_parameter(CParameter::WindowLog(WINDOW_LOG));
        }
        Self(context)
    }

    fn encode(&mut self, input: &[u8], output: &mut PooledBuf, flush: Flush) -> io::Result<()> {
        let how = match flush {
            Flush::No => ZSTD_EndDirective::ZSTD_e_continue,
            Flush::Sync => ZSTD_EndDirective::ZSTD_e_flush,
            Flush::End => ZSTD_EndDirective::ZSTD_e_end,
        };
        let mut input = InBuffer::around(input);
        loop {
            let left = into_room(output, |room| {
                let mut out = OutBuffer::around(room);
                let left = self.0.compress_stream2(&mut out, &mut input, how).map_err(failed)?;
                Ok((out.pos(), left))
            })?;
            let is_all_read = input.pos() == input.src.len();
            if is_all_read && (left == 0 || flush == Flush::No) {
                return Ok(());
            }
        }
    }
}

fn failed(code: usize) -> io::Error {
    io::Error::other(zstd_safe::get_error_name(code))
}

impl Reset for Zstd {
    fn reset(&mut self) -> Verdict {
        match self.0.reset(ResetDirective::SessionOnly) {
            Ok(_) => Verdict::Keep,
            Err(_) => Verdict::Discard,
        }
    }

    fn retained_bytes(&self) -> usize {
        self.0.sizeof()
    }
}

impl core::fmt::Debug for Zstd {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Zstd").field(&self.0.sizeof()).finish()
    }
}
