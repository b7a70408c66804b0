//! A collection on the cursor's allocator is not held across an `.await` of a future that must be `Send`.

fn spawned<F: Future + Send + 'static>(_: F) {}

fn main() {
    let scopes = ebbtide::Scopes::new();
    let scope = scopes.begin().scope();
    spawned(async move {
        let mut arena = scope.arena();
        let mut names = allocator_api2::vec::Vec::new_in(arena.allocator());
        std::future::ready(()).await;
        names.push(1);
    });
}
