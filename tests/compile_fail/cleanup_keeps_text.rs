//! A cleanup, which runs when no pin is left, cannot keep an arena reference.

fn keep(scope: ebbtide::Scope) {
    let text = scope.arena().alloc_str("for the cleanup");
    scope.on_end(move |_| println!("{text}"));
}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    keep(request.scope());
}
