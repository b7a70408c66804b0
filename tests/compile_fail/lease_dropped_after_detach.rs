//! A lease that was detached cannot be given back.

use ebbtide::{Pool, Pooled};

fn main() {
    let pool = Pool::new(String::new);
    let lease = pool.get();
    let _text: String = Pooled::detach(lease);
    drop(lease);
}
