//! Requests against their model: the model of `tests/sequences/scope.rs`, driven by libFuzzer.

#![no_main]

#[path = "../../tests/sequences/scope.rs"]
mod scope;
#[path = "../../tests/sequences/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|script: &[u8]| scope::run(script));
