//! What a wait for the end of a pool says when it gives up.

use core::fmt;

/// Values of a pool are still leased, or the pool is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outstanding {
    /// The pool: its name, or the type of its values.
    pub pool: &'static str,
    /// Values that are leased.
    pub values: u64,
    /// Whether the pool is closed.
    pub is_closed: bool,
}

impl fmt::Display for Outstanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, values, is_closed } = self;
        if *is_closed {
            let (noun, verb) = if *values == 1 { ("value", "is") } else { ("values", "are") };
            write!(f, "{values} {noun} of the pool {pool} {verb} out")
        } else {
            write!(f, "the pool {pool} is open")
        }
    }
}

impl core::error::Error for Outstanding {}
