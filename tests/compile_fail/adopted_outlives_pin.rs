//! Adopted bytes live as long as the scope.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let body = scope.adopt(vec![1, 2, 3]);
    drop(scope);
    println!("{body:?}");
}
