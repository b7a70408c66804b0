//! A value leased for the request cannot outlive its pin.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let pool = ebbtide::Pool::new(String::new);
    let text = scope.lease(&pool);
    drop(scope);
    text.push('x');
}
