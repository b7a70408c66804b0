//! An arena reference cannot outlive its pin.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let text = scope.arena().alloc_str("gone");
    drop(scope);
    println!("{text}");
}
