//! A collected body as a tokio reader.

use super::collected::Collected;
use bytes::Buf;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use tokio::io::{AsyncRead, ReadBuf};

/// Always ready; never fails. What is read goes back.
impl AsyncRead for Collected {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, target: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.has_remaining() && target.remaining() > 0 {
            let chunk = self.chunk();
            let fitting = chunk.len().min(target.remaining());
            target.put_slice(&chunk[..fitting]);
            self.advance(fitting);
        }
        Poll::Ready(Ok(()))
    }
}
