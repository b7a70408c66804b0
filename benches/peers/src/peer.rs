//! What a pool must do to take part.

/// A pool of one kind of value. Each adapter is as thin as its pool allows.
pub(crate) trait Peer: Sync + 'static {
    type Lease<'p>;

    fn take(&self) -> Self::Lease<'_>;

    /// Uses the value: see `Value::work`.
    fn work(lease: &mut Self::Lease<'_>);

    /// Gives the value back, clean.
    fn give<'p>(&'p self, lease: Self::Lease<'p>);
}

/// A pool out of which a value can be taken for good.
pub(crate) trait Lossy: Peer {
    fn lose(lease: Self::Lease<'_>);
}
