//! The books by tag against a list of values: the model of `tests/sequences/tags.rs`, driven by libFuzzer.

#![no_main]

#[path = "../../tests/sequences/script.rs"]
mod script;
#[path = "../../tests/sequences/tags.rs"]
mod tags;

libfuzzer_sys::fuzz_target!(|script: &[u8]| tags::run(script));
