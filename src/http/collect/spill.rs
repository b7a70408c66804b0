//! Bodies that go to a file beyond so much memory (feature `spill`).
//!
//! What arrives is collected as ever; whenever more than the limit is there it is written out, and the body is not read
//! meanwhile. So the memory stays bounded however slow the disk is.

use super::arriving::{Arrived, Arriving};
use super::collected::Collected;
use super::collecting::{Collecting, Stop};
use super::error::CollectError;
use super::limits::Limits;
use super::spilled::Spilled;
use crate::buffer::BufferPool;
use bytes::{Buf, Bytes};
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::spawn_blocking;

/// When a body goes to a file, and where that is.
///
/// The file has no name from the start, so nothing is left of it after a crash either. Mind that `/tmp` is in memory on
/// some machines.
#[derive(Clone, Debug)]
pub struct Spill {
    above: usize,
    folder: PathBuf,
}

impl Spill {
    /// Bodies of more than `bytes` go to a file in the folder for temporary files of the system.
    #[must_use]
    pub fn above(bytes: usize) -> Self {
        Self { above: bytes, folder: env::temp_dir() }
    }

    /// Files are in `folder`.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }
}

/// A whole body, in memory or in a file: a [`Body`] and an `AsyncRead` in both cases. A clone has a position of its own.
#[derive(Clone, Debug)]
pub enum Stored {
    /// In memory.
    Memory(Collected),
    /// In a file.
    File(Spilled),
}

/// As [`collect`](super::collect), but a body of more than [`Spill::above`] goes to a file without a name.
///
/// **Memory**: at most `above` and a twelfth, and one frame, whatever the size of the body. **Cost**: each byte that goes to the file is
/// copied twice, on a thread for blocking work the second time; the body is not read meanwhile. Dropping the future gives
/// the memory back, when a write that is under way has ended, and the file with it.
///
/// # Panics
///
/// Outside of a tokio runtime, when something is to be written.
///
/// # Errors
///
/// As `collect`; [`CollectError::Spill`] when the file cannot be made or written. A body is charged to a budget for `above` and a
/// frame of 512 KiB, or for all of a smaller budget; then a frame that is larger than that fails, for lack of budget.
///
/// # Examples
///
/// ```
/// use ebbtide::{BufferPool, http::{Limits, Spill, Stored, collect_or_spill}};
/// use tokio::io::AsyncReadExt;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (buffers, limits) = (BufferPool::new(), Limits::new(10 << 20));
/// let body = http_body_util::Full::new(&[7; 100_000][..]);
/// let stored = collect_or_spill(body, &buffers, limits, &Spill::above(10_000)).await.unwrap();
/// let Stored::File(mut file) = stored else { panic!("100,000 bytes are too many for memory") };
/// assert_eq!(buffers.stats().outstanding(), 0);
/// let mut bytes = Vec::new();
/// file.read_to_end(&mut bytes).await.unwrap();
/// assert_eq!(bytes, [7; 100_000]);
/// # }
/// ```
pub async fn collect_or_spill<B: Body>(
    body: B,
    buffers: &BufferPool,
    mut limits: Limits,
    spill: &Spill,
) -> Result<Stored, CollectError<B::Error>> {
    limits.contiguous = limits.contiguous.min(spill.above);
    let mut collecting = pin!(Collecting::new_above(body, buffers, limits, spill.above));
    let mut file = None;
    while poll_fn(|context| collecting.as_mut().poll_stop(context)).await? == Stop::Above {
        let arriving = collecting.as_mut().arriving();
        file = Some(written(file, arriving, spill).await.map_err(CollectError::Spill)?);
        // As where it stays in memory: it is not polled again.
        if collecting.has_ended() {
            break;
        }
    }
    let arriving = collecting.as_mut().arriving();
    let Some(file) = file else { return Ok(Stored::Memory(arriving.finish())) };
    let file = match arriving.data {
        Arrived::Nothing => file,
        _ => written(Some(file), arriving, spill).await.map_err(CollectError::Spill)?,
    };
    Ok(Stored::File(Spilled::new(file, arriving.drained, arriving.trailers.take(), buffers.clone())))
}

/// The file, with what is here written behind what is in it.
///
/// The permit goes with the bytes: a future that is dropped meanwhile does not free budget before it frees memory.
async fn written(file: Option<File>, arriving: &mut Arriving, spill: &Spill) -> io::Result<File> {
    arriving.drained += arriving.data.len() as u64;
    let data = arriving.data.finish();
    let mut data = Collected::new(data, None, None);
    let permit = arriving.permit.take();
    let folder = spill.folder.clone();
    let work = move || -> io::Result<_> {
        let mut file = file.map_or_else(|| tempfile::tempfile_in(folder), Ok)?;
        while data.has_remaining() {
            let count = data.chunk().len();
            file.write_all(data.chunk())?;
            data.advance(count);
        }
        Ok((file, permit))
    };
    let (file, permit) = spawn_blocking(work).await.map_err(io::Error::other)??;
    arriving.permit = permit;
    Ok(file)
}

impl Stored {
    /// Bytes that are left.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(body) => body.len() as u64,
            Self::File(body) => body.len(),
        }
    }

    /// Whether no bytes are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The trailers, if there were any and they were not read as a frame.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        match self {
            Self::Memory(body) => body.trailers(),
            Self::File(body) => body.trailers(),
        }
    }
}

impl Body for Stored {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Memory(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::File(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Memory(body) => body.is_end_stream(),
            Self::File(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}

impl AsyncRead for Stored {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Memory(body) => Pin::new(body).poll_read(context, target),
            Self::File(body) => Pin::new(body).poll_read(context, target),
        }
    }
}
