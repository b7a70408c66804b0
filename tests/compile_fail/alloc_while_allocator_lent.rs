//! While a collection has the cursor's allocator, the cursor allocates nothing else.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let mut names = allocator_api2::vec::Vec::new_in(arena.allocator());
    arena.alloc(1);
    names.push(1);
}
