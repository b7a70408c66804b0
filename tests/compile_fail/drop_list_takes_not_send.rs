//! A value that is dropped by whichever thread ends the request must be `Send`.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    scope.arena().alloc_with_drop(std::rc::Rc::new(1));
}
