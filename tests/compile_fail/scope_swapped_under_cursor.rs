//! A scope cannot be exchanged while something is borrowed from it.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut scope = scope;
    let text = scope.arena().alloc_str("of the first");
    let _first = std::mem::replace(&mut scope, scopes.begin().scope());
    println!("{text}");
}
