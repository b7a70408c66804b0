//! A task of a request, which is dropped some time after the request's end, cannot borrow from it.

async fn handler(scope: ebbtide::Scope) {
    let text = scope.arena().alloc_str("short-lived");
    drop(scope.handle().spawn("late", async move { println!("{text}") }));
}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    drop(handler(request.scope()));
}
