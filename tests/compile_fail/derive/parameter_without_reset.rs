//! A generic struct has a reset only where its parameter has one.

#[derive(ebbtide::Reset)]
struct Holder<T> {
    all: Vec<T>,
    last: T,
}

fn main() {
    ebbtide::Pool::new(|| Holder { all: Vec::new(), last: std::time::Instant::now() });
}
