//! Requests, names and the books against their model: that of `tests/sequences/audit.rs`, driven by libFuzzer.

#![no_main]

#[path = "../../tests/sequences/audit.rs"]
mod audit;
#[allow(dead_code)] // This model takes neither sizes nor places out of its script.
#[path = "../../tests/sequences/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|script: &[u8]| audit::run(script));
