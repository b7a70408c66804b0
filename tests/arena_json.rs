//! The example `arena_json`, whose assertions are about JSON in the arena and what it allocates. A process of its own, since
//! the example counts.

#[path = "../examples/arena_json.rs"]
mod example;

#[test]
fn json_with_escapes_lives_in_the_arena_where_a_plain_field_fails() {
    example::main();
}
