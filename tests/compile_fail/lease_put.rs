//! A lease goes back by its drop only: `put` does not take it.

fn main() {
    let pool = ebbtide::Pool::new(String::new);
    let lease = pool.get();
    pool.put(lease);
}
