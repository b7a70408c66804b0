//! The guide: a chapter a subject, for who uses the crate. Its text stands under `docs/guide`; every example in it is compiled
//! and run by the tests. It is there for readers and tests only: a build has none of it.
//!
//! | chapter | for whom |
//! |---|---|
//! | [`pool`] | values that are costly to make, in any program |
//! | [`requests`] | a server: what one request owns |
//! | [`buffers`] | bytes, and bodies of requests |
//! | [`interceptors`] | middleware with state |
//! | [`measuring`] | is it worth it here? |
//! | [`watching`] | who holds memory, and who leaks it |
//! | [`tuning`] | the knobs, and what tells that they should be turned |
//! | [`when_not_to`] | read it first |
//! | [`coming_from`] | `Vec`, `BytesMut`, other pools, bumpalo, Go |

#[doc = include_str!("../docs/guide/buffers.md")]
pub mod buffers {}
#[doc = include_str!("../docs/guide/coming-from.md")]
pub mod coming_from {}
#[doc = include_str!("../docs/guide/interceptors.md")]
pub mod interceptors {}
#[doc = include_str!("../docs/guide/measuring.md")]
pub mod measuring {}
#[doc = include_str!("../docs/guide/pool.md")]
pub mod pool {}
#[doc = include_str!("../docs/guide/requests.md")]
pub mod requests {}
#[doc = include_str!("../docs/guide/tuning.md")]
pub mod tuning {}
#[doc = include_str!("../docs/guide/watching.md")]
pub mod watching {}
#[doc = include_str!("../docs/guide/when-not-to.md")]
pub mod when_not_to {}
