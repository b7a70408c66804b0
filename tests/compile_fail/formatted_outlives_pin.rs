//! Formatted text lives as long as the scope.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let text = ebbtide::arena_format!(scope.arena(), "{} of {}", 3, 7);
    drop(scope);
    println!("{text}");
}
