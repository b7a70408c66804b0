//! `Pool` against a list with bounds: the model of `tests/sequences/pool.rs`, driven by libFuzzer.

#![no_main]

#[path = "../../tests/sequences/pool.rs"]
mod pool;
#[path = "../../tests/sequences/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|script: &[u8]| pool::run(script));
