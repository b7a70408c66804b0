//! `alloc` refuses a value that needs `Drop`. Seen only when built, not when checked.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    scope.arena().alloc(String::from("never dropped"));
}
