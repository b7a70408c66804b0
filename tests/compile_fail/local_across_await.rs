//! A local's reference is not held across an `.await` of a future that moves between threads.

fn spawned(_: impl Future + Send) {}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    let scope = request.scope();
    spawned(async move {
        let mut text = scope.local::<String>().unwrap();
        std::future::ready(()).await;
        text.push('x');
    });
}
