//! Nothing can be pinned in memory that the next request reuses: forgotten, it would never be dropped.

use allocator_api2::boxed::Box;

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let boxed = Box::new_in(std::future::ready(1), arena.allocator());
    std::mem::forget(Box::into_pin(boxed));
}
