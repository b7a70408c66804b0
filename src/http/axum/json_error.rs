//! Why JSON was refused, and where in the document.

use core::error::Error;
use core::fmt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// What serde_json says, and the path of the field that it says it of, such as `points[2].x: invalid type: ..`.
#[derive(Debug)]
pub struct JsonError(Reason);

#[derive(Debug)]
enum Reason {
    At(serde_path_to_error::Error<serde_json::Error>),
    /// It is said of no field.
    Nowhere(serde_json::Error),
}

impl JsonError {
    /// Looks for the field that `error` is said of. To follow the path costs allocations for each key of an object (11,600 for
    /// 58 KB in `tests/http_drop_in_allocations.rs`), which documents without a fault need not pay: so the document is read once more.
    #[cold]
    pub(super) fn find<T: DeserializeOwned>(bytes: &[u8], error: serde_json::Error) -> Self {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        Self(match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
            Err(error) => Reason::At(error),
            Ok(_) => Reason::Nowhere(error),
        })
    }

    /// Whether it is JSON, but not what was asked for.
    pub(super) fn is_data(&self) -> bool {
        self.json().classify() == Category::Data
    }

    /// The error itself, with its line and column.
    #[must_use]
    pub fn json(&self) -> &serde_json::Error {
        match &self.0 {
            Reason::At(error) => error.inner(),
            Reason::Nowhere(error) => error,
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::At(error) => error.fmt(f),
            Reason::Nowhere(error) => error.fmt(f),
        }
    }
}

impl Error for JsonError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.json())
    }
}
