//! `BufferPool` and its buffers against flat vectors: the model of `tests/sequences/buffer.rs`, driven by libFuzzer.

#![no_main]

#[path = "../../tests/sequences/buffer.rs"]
mod buffer;
#[path = "../../tests/sequences/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|script: &[u8]| buffer::run(script));
