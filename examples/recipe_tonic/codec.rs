//! A codec whose messages are their bytes, in memory from a pool. With prost, a message is decoded from them.

use bytes::{Buf, BufMut};
use ebbtide::{BufferPool, PooledBytes};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// The pool that messages come from.
#[derive(Clone)]
pub(crate) struct Pooled(pub(crate) BufferPool);

impl Codec for Pooled {
    type Encode = PooledBytes;
    type Decode = PooledBytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        self.clone()
    }
    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for Pooled {
    type Item = PooledBytes;
    type Error = Status;
    fn encode(&mut self, message: PooledBytes, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put(message);
        Ok(())
    }
}

impl Decoder for Pooled {
    type Item = PooledBytes;
    type Error = Status;
    /// The whole message is there, and tonic has bounded its length.
    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<PooledBytes>, Status> {
        let mut buffer = self.0.get(source.remaining());
        buffer.put(source);
        Ok(Some(buffer.freeze()))
    }
}
