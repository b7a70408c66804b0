//! The allowed counterparts of what the neighbours refuse. A passing case also makes trybuild build the others, not
//! only check them, which shows the assertions that live in constants.

use ebbtide::{Arena, Pool, Pooled, Scope, Scopes};
use std::cell::Cell;
use std::sync::Mutex;

/// The cursor goes through an async callee, whose result lives as long as the scope.
async fn greet<'s>(arena: &mut Arena<'s>, name: &str) -> &'s str {
    std::future::ready(()).await;
    let mut text = arena.string(16);
    text.push_str("hello ");
    text.push_str(name);
    text.into_str()
}

async fn handler(scope: Scope) -> String {
    let mut arena = scope.arena();
    let ada = greet(&mut arena, "Ada").await;
    let numbers = arena.alloc_slice_copy(&[1, 2]);
    let bob = greet(&mut arena, "Bob").await;
    numbers[0] += 1;

    // Each growing vector has a cursor of its own, and may stay over an await.
    let mut more = scope.arena();
    let (mut names, mut sizes) = (arena.vec(2), more.vec(2));
    names.push(ada);
    std::future::ready(()).await;
    sizes.push(bob.len());
    drop((names, sizes));

    // The borrow of the cursor ends with the vector.
    let late = arena.alloc_with_drop(String::from("dropped when the request ends"));
    scope.local::<String>().unwrap().push_str(late);
    std::future::ready(()).await;
    format!("{ada}, {bob}, {}", numbers[0])
}

/// Things of one scope may refer to each other, and to what outlives the scope.
fn ring<'s>(scope: &'s Scope, outside: &'s str) -> usize {
    struct Node<'s> {
        name: &'s str,
        next: Cell<Option<&'s Node<'s>>>,
    }
    let mut arena = scope.arena();
    let first: &Node<'s> = arena.alloc(Node { name: outside, next: Cell::new(None) });
    let second: &Node<'s> = arena.alloc(Node { name: "inside", next: Cell::new(Some(first)) });
    first.next.set(Some(second));
    second.next.get().unwrap().name.len()
}

fn spawned<F: Future + Send + 'static>(future: F) -> F {
    future
}

fn main() {
    let scopes = Scopes::new();
    let request = scopes.begin();

    // A task takes a scope of its own, or a handle.
    let (scope, handle) = (request.scope(), request.handle());
    drop(spawned(handler(scope.clone())));
    drop(spawned(async move { handle.enter().map(|scope| scope.arena().alloc(1_u8).to_owned()) }));

    // Threads that end before the scope does may borrow it, each with a cursor of its own.
    std::thread::scope(|threads| {
        let name: &str = scope.arena().alloc_str("shared");
        threads.spawn(|| scope.arena().alloc_str(name).len());
    });

    // What is copied out may go anywhere.
    static KEPT: Mutex<Option<String>> = Mutex::new(None);
    *KEPT.lock().unwrap() = Some(scope.arena().alloc_str("copied").to_owned());

    let name = String::from("Ada");
    assert_eq!(ring(&scope, &name), 3);

    let pool = Pool::new(String::new);
    let detached = Pooled::detach(pool.get());
    pool.put(detached);
    scope.lease(&pool).push('x');

    // A cleanup's handle may be ignored, kept, or used within the life of its scope.
    scope.on_end(|_| ());
    let cleanup = scope.on_end(|_| ());
    scope.on_end(|_| ()).cancel();
    cleanup.run_now();

    // A boxed future goes anywhere, and takes along what it owns.
    let owned = scope.detach(|scope| scope.arena().alloc_str("copied").to_owned());
    drop(spawned(scope.boxed(async move { owned.len() }).erased()));
    drop(spawned(request.handle().run_until_ended(request.handle().ended())));
}
