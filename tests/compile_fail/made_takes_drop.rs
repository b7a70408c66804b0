//! `alloc_with` refuses values that need `Drop`. Seen only when built, not when checked.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    arena.alloc_with(String::new);
}
