//! A cleanup is called early or cancelled, once.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let cleanup = scope.on_end(|_| ());
    cleanup.run_now();
    cleanup.cancel();
}
