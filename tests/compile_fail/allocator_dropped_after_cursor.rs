//! Nor can it be dropped after the cursor: it gives its memory back then.

fn main() {
    let scopes = ebbtide::Scopes::new();
    let request = scopes.begin();
    let scope = request.scope();
    let _map: hashbrown::HashMap<u8, u8, hashbrown::DefaultHashBuilder, ebbtide::arena::ArenaAlloc<'_, '_>>;
    let mut arena = scope.arena();
    _map = hashbrown::HashMap::with_hasher_in(Default::default(), arena.allocator());
}
