//! Sequences of operations against slow reference models. The fuzz targets run the same models, for longer.

#[path = "sequences/audit.rs"]
mod audit;
#[path = "sequences/buffer.rs"]
mod buffer;
#[path = "sequences/collect.rs"]
mod collect;
#[path = "sequences/pool.rs"]
mod pool;
#[path = "sequences/rope.rs"]
mod rope;
#[path = "sequences/scope.rs"]
mod scope;
#[path = "sequences/script.rs"]
mod script;
#[path = "sequences/tags.rs"]
mod tags;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any};

/// Scripts of each model; few where every step costs a thousand.
const CASES: u32 = if cfg!(miri) { 4 } else { 512 };
/// Bytes of a script, about two to an operation.
const LENGTH: usize = 400;

proptest::proptest! {
    // No file of regressions: a script that failed becomes a test with a name.
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn buffers_behave_like_flat_vectors(script in vec(any::<u8>(), 0..LENGTH)) {
        buffer::run(&script);
    }

    #[test]
    fn a_pool_behaves_like_a_list_with_bounds(script in vec(any::<u8>(), 0..LENGTH)) {
        pool::run(&script);
    }

    #[test]
    fn ropes_behave_like_flat_vectors(script in vec(any::<u8>(), 0..LENGTH)) {
        rope::run(&script);
    }

    #[test]
    fn requests_end_as_their_model_foretells(script in vec(any::<u8>(), 0..LENGTH)) {
        scope::run(&script);
    }

    #[test]
    fn requests_leave_out_what_their_model_foretells(script in vec(any::<u8>(), 0..LENGTH)) {
        audit::run(&script);
    }

    #[test]
    fn the_books_by_tag_say_what_a_list_of_values_says(script in vec(any::<u8>(), 0..LENGTH)) {
        tags::run(&script);
    }
}

proptest::proptest! {
    // Fewer: each step moves up to some MiB.
    #![proptest_config(ProptestConfig { cases: CASES / 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn collected_bodies_are_what_a_plain_model_says(script in vec(any::<u8>(), 0..LENGTH)) {
        collect::run(&script);
    }
}
