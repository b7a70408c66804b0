//! A codec whose messages are their bytes, in memory from a pool (with prost, a message is decoded from them), and what protoc
//! would write.

use bytes::{Buf, BufMut};
use ebbtide::{BufferPool, PooledBytes};
use std::task::{Context, Poll};
use std::{convert::Infallible, future::Future, pin::Pin};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;

/// The codec, and the pool that messages come from.
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

/// What protoc would write around the calls of a service: its name, and how it is called.
#[derive(Clone)]
pub(crate) struct Calls<F>(pub(crate) F);

impl<F> NamedService for Calls<F> {
    const NAME: &'static str = "recipe.Calls";
}

impl<F, A> Service<http::Request<Body>> for Calls<F>
where
    F: Fn(http::Request<Body>) -> A,
    A: Future<Output = http::Response<Body>> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = (self.0)(request);
        Box::pin(async { Ok(answer.await) })
    }
}
