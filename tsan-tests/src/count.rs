//! What ThreadSanitizer is told of the end of an `Arc`.
//!
//! `Arc` counts down with Release, and the last count passes an Acquire fence. The sanitizer does not know fences, and the std
//! that is built for it, which loads the count instead, is not at hand. So the linker puts this function in the place of the
//! sanitizer's own (`--wrap`), and each count down is Acquire too. That orders those who count the same word down, more than
//! they promise each other, and nobody else. `Shared` is counted in the same way.

use core::ffi::c_int;

// Of `sanitizer/tsan_interface_atomic.h`.
const RELEASE: c_int = 3;
const ACQUIRE_RELEASE: c_int = 4;

unsafe extern "C" {
    fn __real___tsan_atomic64_fetch_sub(word: *mut u64, less: u64, order: c_int) -> u64;
}

/// # Safety
///
/// As for the sanitizer's own.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___tsan_atomic64_fetch_sub(word: *mut u64, less: u64, order: c_int) -> u64 {
    let order = if order == RELEASE { ACQUIRE_RELEASE } else { order };
    // SAFETY: the caller's promise; a stronger order is no less safe.
    unsafe { __real___tsan_atomic64_fetch_sub(word, less, order) }
}
