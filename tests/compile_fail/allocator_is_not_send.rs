//! The copies of an allocator share their cursor without a lock: none of them goes to another thread.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let memory = arena.allocator();
    std::thread::scope(|threads| {
        threads.spawn(|| allocator_api2::vec::Vec::new_in(memory).push(1));
    });
}
