//! What is detached from a request borrows nothing of it.

fn context(scope: ebbtide::Scope) -> &'static str {
    let text: &str = scope.arena().alloc_str("for a task");
    scope.detach(|_| text)
}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    println!("{}", context(request.scope()));
}
