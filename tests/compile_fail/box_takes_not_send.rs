//! A boxed future may be dropped on any thread, so it must be `Send`.

fn main() {
    let request = ebbtide::Scopes::new().begin();
    let shared = std::rc::Rc::new(1);
    drop(request.scope().boxed(async move { *shared }));
}
