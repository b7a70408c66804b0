//! `default` needs a default.

#[derive(ebbtide::Reset)]
struct Timer {
    #[reset(default)]
    started: std::time::Instant,
}

fn main() {}
