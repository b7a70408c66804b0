//! As its neighbour, in one step.

use allocator_api2::boxed::Box;

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    std::mem::forget(Box::pin_in(std::future::ready(1), arena.allocator()));
}
