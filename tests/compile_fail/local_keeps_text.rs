//! A request's local, which serves the next request too, cannot keep an arena reference.

fn keep(scope: ebbtide::Scope) {
    let mut seen = scope.local::<Vec<&'static str>>().unwrap();
    seen.push(scope.arena().alloc_str("for the next request"));
}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    keep(request.scope());
}
