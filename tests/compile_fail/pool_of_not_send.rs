//! What is not `Send` cannot be pooled: the thread that gives it back need not be the one that took it.

use std::rc::Rc;

fn main() {
    let _pool: ebbtide::Pool<Rc<u8>>;
}
