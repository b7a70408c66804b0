//! A collection on the cursor's allocator cannot outlive the cursor.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let mut names = allocator_api2::vec::Vec::new_in(arena.allocator());
    drop(arena);
    names.push(1);
}
