//! Two threads cannot share a cursor.

fn shared<T: Sync>(_: &T) {}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    let scope = request.scope();
    shared(&scope.arena());
}
