//! One cursor grows one vector at a time.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let mut arena = scope.arena();
    let mut names = arena.vec::<u8>(4);
    let mut sizes = arena.vec::<u8>(4);
    names.push(1);
    sizes.push(2);
}
