//! A value that is dropped when the request ends cannot hold an arena reference.

struct Loud<'a>(&'a str);

impl Drop for Loud<'_> {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn keep(scope: ebbtide::Scope) {
    let text = scope.arena().alloc_str("for the drop");
    scope.arena().alloc_with_drop(Loud(text));
}

fn main() {
    let request = ebbtide::Scopes::new().begin();
    keep(request.scope());
}
