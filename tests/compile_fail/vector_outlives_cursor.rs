//! A growing vector cannot outlive its cursor.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let mut names = arena.vec(4);
    drop(arena);
    names.push(1);
}
