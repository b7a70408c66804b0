//! Ropes against flat vectors: the model of `tests/sequences/rope.rs`, driven by libFuzzer.

#![no_main]

#[path = "../../tests/sequences/rope.rs"]
mod rope;
#[path = "../../tests/sequences/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|script: &[u8]| rope::run(script));
