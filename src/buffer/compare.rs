//! Comparing and hashing: buffers and frozen bytes are as the slices that they hold.

use super::buf::PooledBuf;
use super::bytes::PooledBytes;
use bytes::Bytes;
use core::cmp::Ordering;
use core::hash::{Hash, Hasher};

/// One type's comparisons, with all that is bytes on its right hand, and with what holds bytes elsewhere on its left: a
/// dozen impls that differ in the types only.
macro_rules! compared {
    ($ours:ty: $($theirs:ty)*) => {
        impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for $ours {
            #[inline]
            fn eq(&self, other: &T) -> bool {
                **self == *other.as_ref()
            }
        }

        impl Eq for $ours {}

        impl<T: AsRef<[u8]> + ?Sized> PartialOrd<T> for $ours {
            fn partial_cmp(&self, other: &T) -> Option<Ordering> {
                (**self).partial_cmp(other.as_ref())
            }
        }

        impl Ord for $ours {
            fn cmp(&self, other: &Self) -> Ordering {
                (**self).cmp(other)
            }
        }

        /// As for `[u8]` and `Bytes`.
        impl Hash for $ours {
            fn hash<H: Hasher>(&self, state: &mut H) {
                (**self).hash(state);
            }
        }

        $(
            impl PartialEq<$ours> for $theirs {
                #[inline]
                fn eq(&self, other: &$ours) -> bool {
                    other == self
                }
            }

            impl PartialOrd<$ours> for $theirs {
                fn partial_cmp(&self, other: &$ours) -> Option<Ordering> {
                    other.partial_cmp(self).map(Ordering::reverse)
                }
            }
        )*
    };
}

compared! { PooledBuf: [u8] &[u8] str &str Vec<u8> String Bytes }
compared! { PooledBytes: [u8] &[u8] str &str Vec<u8> String Bytes }
