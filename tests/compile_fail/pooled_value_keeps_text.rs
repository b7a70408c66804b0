//! A pooled value, which others get after the request, cannot keep an arena reference.

fn keep(scope: ebbtide::Scope, pool: &ebbtide::Pool<Vec<&'static str>>) {
    scope.lease(pool).push(scope.arena().alloc_str("for the next lease"));
}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    keep(request.scope(), &ebbtide::Pool::new(Vec::new));
}
