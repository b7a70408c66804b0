//! A frozen buffer cannot be written.

fn main() {
    let mut buffer = ebbtide::BufferPool::new().get(8);
    let bytes = buffer.freeze();
    buffer.extend_from_slice(b"late");
    drop(bytes);
}
