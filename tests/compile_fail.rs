//! What the type system promises: each file under `compile_fail/` breaks one promise, and must not compile.
//!
//! `TRYBUILD=overwrite cargo test --test compile_fail` writes the expected messages anew after a change of compiler:
//! read the difference before it is committed. The messages are those of a toolchain without the component `rust-src`, which
//! would quote the standard library in them.

#[test]
fn promises_of_the_type_system() {
    let cases = trybuild::TestCases::new();
    // Without a passing case trybuild only checks, and an assertion in a constant would not be seen.
    cases.pass("tests/compile_fail/pass/*.rs");
    cases.compile_fail("tests/compile_fail/*.rs");
    if cfg!(feature = "derive") {
        cases.compile_fail("tests/compile_fail/derive/*.rs");
    }
}
