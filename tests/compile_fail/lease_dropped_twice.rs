//! A lease cannot be given back twice.

fn main() {
    let pool = ebbtide::Pool::new(String::new);
    let lease = pool.get();
    drop(lease);
    drop(lease);
}
