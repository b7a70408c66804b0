//! `alloc_slice_fill_with` refuses values that need `Drop`. Seen only when built, not when checked.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    scope.arena().alloc_slice_fill_with(3, |_| String::new());
}
