//! A growing vector gives its block back when it is dropped: the cursor must still be there.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let _grows = arena.vec::<u32>(16);
    drop(arena);
}
