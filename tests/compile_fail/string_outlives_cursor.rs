//! A growing string cannot outlive its cursor.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let mut text = arena.string(4);
    drop(arena);
    text.push_str("late");
}
