//! A spawned thread cannot borrow a local scope.

// In a function of our own, so that the message does not quote the standard library.
fn spawn(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let text = scope.arena().alloc_str("short-lived");
    spawn(move || println!("{text}"));
}
