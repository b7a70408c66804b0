//! While a vector grows, its cursor allocates nothing else.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let mut names = arena.vec(4);
    names.push(arena.alloc_str("Ada").len());
}
