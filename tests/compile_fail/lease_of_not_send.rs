//! There is no lease of what is not `Send`.

use std::rc::Rc;

fn main() {
    let _lease: Option<ebbtide::Pooled<Rc<u8>>>;
}
