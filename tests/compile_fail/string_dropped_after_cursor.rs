//! A growing string gives its block back when it is dropped: the cursor must still be there.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let _grows = arena.string(16);
    drop(arena);
}
