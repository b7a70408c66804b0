//! A boxed future, which owns a pin of its own, cannot keep an arena reference that was borrowed from another.

fn keep(scope: ebbtide::Scope) -> ebbtide::ScopeBox<impl Future<Output = usize>> {
    let text = scope.arena().alloc_str("for later");
    scope.boxed(async move { text.len() })
}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    drop(keep(request.scope()));
}
