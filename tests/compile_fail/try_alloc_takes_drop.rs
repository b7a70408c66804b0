//! The forms that may fail refuse values that need `Drop` too. Seen only when built, not when checked.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let _ = arena.try_alloc(String::new());
}
