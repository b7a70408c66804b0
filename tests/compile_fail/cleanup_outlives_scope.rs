//! A cleanup's handle cannot outlive its scope, so the request cannot end while somebody could call the cleanup off.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let cleanup = scope.on_end(|_| ());
    drop(scope);
    cleanup.cancel();
}
