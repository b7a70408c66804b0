//! An arena reference cannot enter the response's extensions.

async fn handler(scope: ebbtide::Scope) -> http::Response<()> {
    let text: &str = scope.arena().alloc_str("for whoever sees the response");
    let mut response = http::Response::new(());
    response.extensions_mut().insert(text);
    response
}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    drop(handler(request.scope()));
}
