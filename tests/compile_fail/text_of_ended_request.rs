//! A reference to a request's memory cannot be kept until the slot serves another request.

fn first<'a>(scopes: &ebbtide::Scopes) -> &'a str {
    let request = scopes.begin();
    let scope = request.scope();
    scope.arena().alloc_str("of the first request")
}

fn main() {
    let scopes = ebbtide::Scopes::new();
    let text = first(&scopes);
    drop(scopes.begin());
    println!("{text}");
}
