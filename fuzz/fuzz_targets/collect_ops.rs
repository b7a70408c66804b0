//! Collected bodies against flat vectors: the model of `tests/sequences/collect.rs`, driven by libFuzzer.

#![no_main]

#[path = "../../tests/sequences/collect.rs"]
mod collect;
#[path = "../../tests/sequences/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|script: &[u8]| collect::run(script));
