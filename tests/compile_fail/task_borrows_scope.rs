//! A spawned task cannot borrow a local scope.

// In a function of our own, so that the message does not quote tokio.
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

async fn handler(scope: ebbtide::Scope) {
    let text = scope.arena().alloc_str("short-lived");
    spawn(async move { println!("{text}") });
}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    drop(handler(request.scope()));
}
